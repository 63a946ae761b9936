// One forward pass of the layers over a batch of rows.
#pragma once

#include <span>
#include <vector>

#include "model/attention.h"
#include "model/decoder.h"
#include "model/timed_shares.h"

namespace sentinel {

// Work is dealt out to the pool in calls of a few shares a member (base/thread_pool.h). With few
// rows, products are bound by reading weights: their shares are panels, and what one share has made
// it passes on where it can, because every call and every line that goes from core to core takes
// time in which no weights are read. With many the rows are dealt out as well, so that a member's
// activations stay in its cache from product to product.
class ForwardPass {
 public:
  ForwardPass(const DecoderContext& context, const Plan& plan, KvCache& cache, Workspace& workspace,
              std::span<const RowGroup> groups, const int32_t* tokens, Observer* observer,
              WantedRows wanted);
  void run();

 private:
  // Where a product's inputs come from: rows [rows, x_stride] of k numbers, layer-normed first when
  // `norm_weight` is given.
  struct Source {
    const float* x;
    int64_t x_stride, k;
    const std::vector<Segment>* segments;  // the inputs in use; null: all
    const Operand& space;                  // for them, converted
    const std::vector<float>* norm_weight = nullptr;
    const std::vector<float>* norm_bias = nullptr;
  };
  Source normed(const std::vector<float>& weight, const std::vector<float>& bias) const;

  bool few_rows() const { return rows_ <= kSmallRows; }
  int shares() const { return c_.pool.size() * per_member_; }

  // pool.run_shares(), timed as one operation of this layer.
  template <typename Body>
  void run_shares(Op op, const Body& body) {
    run_timed(c_.pool, c_.trace, per_member_, op, layer_, body);
  }
  void mark(Op op);

  void set_rows(int64_t rows);
  void drop_unwanted_rows(int l);
  void embed();
  void read_token(int64_t row);
  void enter(int l);
  void attention(int l);
  void integrate(int l);
  void mix(const FeatureMix& weights, const Workspace& from, int entry);
  void ffn(int l);
  bool hidden_is_passed_on(const PackedLayer& layer) const;

  LinearArgs linear_args(const PackedMatrix& matrix, float* y, int64_t y_stride,
                         const std::vector<float>& bias) const;
  // Makes the inputs, then computes `panels` panels for all rows. `out`: where the results go as
  // inputs of the next product; args.y is then free to use.
  void product(Op op, const PackedMatrix& matrix, LinearArgs args, int64_t panels,
               const Source& source, const Operand* out = nullptr);
  // The same with the inputs at hand: args.x.
  void prepared_product(Op op, const PackedMatrix& matrix, const LinearArgs& args, int64_t panels,
                        const Operand* out = nullptr);
  void few_rows_product(Op op, const PackedMatrix& matrix, const LinearArgs& args, int64_t panels,
                        const Source& source, const Operand* out);
  // Before a call whose shares take private_inputs().
  void start_few_rows(const Source& source, WeightType type);
  void part_of_rows(const PackedMatrix& matrix, LinearArgs args, int64_t panels, const Operand* out,
                    int share) const;
  Operand make_inputs(const Source& source, WeightType type, Range rows, float* normed,
                      const Operand& space) const;
  void norm_rows(const Source& source, int64_t first, int64_t n, float* out,
                 int64_t out_stride) const;
  Operand private_inputs(const Source& source, WeightType type, int member);

  // body(row) for `count` rows from `first` on, and for every row; on all members when there are
  // many.
  template <typename Body>
  void for_rows(int64_t first, int64_t count, const Body& body);
  template <typename Body>
  void for_each_row(const Body& body) {
    for_rows(0, rows_, body);
  }
  void add_bias(const std::vector<float>& bias);
  void keep_inputs(int l, const Source& source);
  bool heads_are_shares(const LayerPlan& plan) const;
  void qkv_and_heads(const LayerPlan& plan, const PackedMatrix& matrix, const LinearArgs& args,
                     const Source& source);
  void heads(const LayerPlan& plan);
  void head(const AttentionTask& task, int member);
  template <typename Body>
  void for_each_task(const LayerPlan& plan, int block_rows, const Body& body);
  void observe_hidden(int l, Observer::Hidden where);
  void observe_attention(int l);
  void observe_ffn(int l);

  const DecoderContext& c_;
  const Plan& plan_;
  KvCache& cache_;
  Workspace& w_;
  std::span<const RowGroup> groups_;
  const int32_t* tokens_;
  Observer* observer_;
  WantedRows wanted_;
  int layer_ = -1;  // that is being computed
  int64_t rows_ = 0;
  int max_group_rows_ = 0;
  int per_member_;  // shares of a call
  int row_parts_;   // into which a product's rows are cut
};

}  // namespace sentinel
