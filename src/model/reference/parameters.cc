#include "model/reference/parameters.h"

#include <cmath>
#include <string>

namespace sentinel {
namespace reference {
namespace {

// Values of a checkpoint's tensors, which must be finite.
class Reader {
 public:
  explicit Reader(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  std::vector<float> vector(const VectorView& view) const {
    std::vector<float> values = view.to_floats();
    check_finite(values, view.name);
    return values;
  }
  Matrix matrix(const MatrixView& view) const {
    Matrix m{std::vector<float>(view.n_out * view.n_in), view.n_out, view.n_in};
    for (int64_t o = 0; o < view.n_out; ++o) {
      load_row(view, o, m.values.data() + o * view.n_in);
    }
    check_finite(m.values, view.name);
    return m;
  }

 private:
  void check_finite(const std::vector<float>& values, const std::string& name) const {
    for (const float v : values) {
      if (!std::isfinite(v)) throw checkpoint_.not_finite(name);
    }
  }

  const Checkpoint& checkpoint_;
};

}  // namespace

Parameters::Parameters(const Checkpoint& checkpoint) : tied(checkpoint.config().tied_lm_head) {
  const Reader read(checkpoint);
  const ModelView& view = checkpoint.view();
  token_embedding = read.matrix(view.token_embedding);
  position_embedding = read.matrix(view.position_embedding);
  checkpoint.release_pages();
  if (!tied) lm_head = read.matrix(view.lm_head);
  for (const LayerView& l : view.layers) {
    LayerParameters p;
    p.norm1_weight = read.vector(l.norm1_weight);
    p.norm1_bias = read.vector(l.norm1_bias);
    p.norm2_weight = read.vector(l.norm2_weight);
    p.norm2_bias = read.vector(l.norm2_bias);
    for (const HeadView& h : l.heads) {
      p.heads.push_back({read.matrix(h.q), read.matrix(h.k), read.matrix(h.v), read.matrix(h.o),
                         read.vector(h.q_bias), read.vector(h.k_bias), read.vector(h.v_bias)});
    }
    p.o_bias = read.vector(l.o_bias);
    p.up = read.matrix(l.up);
    p.up_bias = read.vector(l.up_bias);
    p.down = read.matrix(l.down);
    p.down_bias = read.vector(l.down_bias);
    layers.push_back(std::move(p));
    checkpoint.release_pages();
  }
  final_norm_weight = read.vector(view.final_norm_weight);
  final_norm_bias = read.vector(view.final_norm_bias);
}

}  // namespace reference
}  // namespace sentinel
