#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {
namespace {

// Keeps the arrays alive; the last copy may go in any thread.
std::shared_ptr<const void> keep_alive(py::object object) {
  PyObject* pointer = object.release().ptr();
  return {pointer, [](PyObject* owned) {
            const GilTaken gil;
            Py_DECREF(owned);
          }};
}

// tensors: (name, dtype, C-contiguous array) each.
BaselineModel load_state_dict(const std::string& config_json, const py::list& tensors,
                              const std::string& tokenizer) {
  StateDict state;
  state.config_json = config_json;
  state.tokenizer = tokenizer;
  for (const py::handle item : tensors) {
    const auto entry = py::cast<py::tuple>(item);
    const auto array = py::cast<py::array>(entry[2]);
    NamedTensor tensor{py::cast<std::string>(entry[0]),
                       py::cast<std::string>(entry[1]),
                       {array.shape(), array.shape() + array.ndim()},
                       array.data()};
    state.tensors.push_back(std::move(tensor));
  }
  state.owner = keep_alive(py::tuple(tensors));  // the caller may empty its list
  const GilReleased release;
  return load_baseline_model(std::move(state));
}

py::array_t<int32_t> encode(const BaselineModel& model, const std::string& text,
                            bool parse_special) {
  std::vector<int32_t> ids;
  {
    const GilReleased release;
    ids = model.encode(text, parse_special);
  }
  return py::array_t<int32_t>(static_cast<py::ssize_t>(ids.size()), ids.data());
}

BaselineModel prune(const BaselineModel& model, double heads, double ffn,
                    const std::string& strategy, const std::string& recover, double min_ridge,
                    const std::string& calibration_text, int round_to, uint64_t seed, int threads,
                    const std::string& save_stats) {
  SignalCheck signals;
  PruningOptions options{.heads = heads,
                         .ffn = ffn,
                         .strategy = strategy,
                         .recover = recover,
                         .min_ridge = min_ridge,
                         .calibration_text = calibration_text,
                         .save_stats = save_stats,
                         .round_to = round_to,
                         .seed = seed,
                         .threads = threads};
  options.on_progress = [&](const std::string&, int64_t, int64_t) { signals.poll(); };
  return prune_model(model, options);
}

}  // namespace

void bind_baseline(py::module_& module) {
  py::class_<BaselineModel>(module, "BaselineModel")
      .def_property_readonly("n_layers", &BaselineModel::n_layers)
      .def("n_heads", &BaselineModel::n_heads, py::arg("layer"))
      .def_property_readonly("d_model", &BaselineModel::d_model)
      .def_property_readonly("vocab_size", &BaselineModel::vocab_size)
      .def_property_readonly("context_length", &BaselineModel::context_length)
      .def_property_readonly("parameter_count", &BaselineModel::parameter_count)
      .def_property_readonly("origin", [](const BaselineModel& m) { return path_str(m.origin()); })
      .def_property_readonly("config_json", &BaselineModel::config_json)
      .def_property_readonly("has_tokenizer", &BaselineModel::has_tokenizer)
      .def("encode", &encode, py::arg("text"), py::arg("parse_special"))
      .def(
          "decode",
          [](const BaselineModel& model, const std::vector<int32_t>& ids) {
            std::string text;
            {
              const GilReleased release;
              text = model.decode(ids);
            }
            return to_str(text);
          },
          py::arg("ids"))
      .def("prune", &prune, py::arg("heads"), py::arg("ffn"), py::arg("strategy"),
           py::arg("recover"), py::arg("min_ridge"), py::arg("calibration_text"),
           py::arg("round_to"), py::arg("seed"), py::arg("threads"), py::arg("save_stats"),
           py::call_guard<GilReleased>())
      .def(
          "save_pretrained",
          [](const BaselineModel& model, const std::string& folder, const std::string& dtype,
             bool padded) {
            model.save_pretrained(folder, {dtype, padded});
          },
          py::arg("folder"), py::arg("dtype"), py::arg("padded"), py::call_guard<GilReleased>());
  module.def(
      "load_baseline_model", [](const std::string& model) { return load_baseline_model(model); },
      py::arg("model"), py::call_guard<GilReleased>());
  module.def("load_state_dict", &load_state_dict, py::arg("config_json"), py::arg("tensors"),
             py::arg("tokenizer"));
}

}  // namespace sentinel::python
