#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>

#include "attendance.h"
#include "bindings.h"

namespace py = pybind11;

namespace sentinel::python {
namespace {

using Ids = py::array_t<int32_t, py::array::c_style>;

std::span<const int32_t> span_of(const Ids& ids) {
  return {ids.data(), static_cast<size_t>(ids.size())};
}

// False, or numpy's, ends generation. Other false values do not: write("") returns 0.
bool goes_on(const py::object& on_token, int32_t token, std::string_view text) {
  const py::object answer = on_token(token, to_str(text));
  const std::string_view type = Py_TYPE(answer.ptr())->tp_name;
  if (type != "bool" && type != "numpy.bool_" && type != "numpy.bool") return true;
  return PyObject_IsTrue(answer.ptr()) != 0;
}

// `prompt`: str or an int32 array of ids; `on_token`: None or (token, text) -> False to stop.
GenerationResult generate(AdaptiveModel& model, const py::object& prompt,
                          const GenerationOptions& asked, const py::object& on_token) {
  GenerationOptions options = asked;
  std::string text;
  std::optional<Ids> ids;
  if (py::isinstance<py::str>(prompt)) {
    text = py::cast<std::string>(prompt);
  } else {
    ids = py::cast<Ids>(prompt);
  }
  const std::span<const int32_t> span = ids ? span_of(*ids) : std::span<const int32_t>();
  const auto run = [&] {
    return ids ? model.generate_ids(span, options) : model.generate(text, options);
  };
  // A controller's search takes minutes before the first token: there, signals are looked for while
  // another thread computes.
  if (model.controller_report()) {
    Attendance attendance;
    options.cancel = attendance.token();
    if (!on_token.is_none()) {
      options.on_token = [&](int32_t token, std::string_view shown) {
        bool wanted = true;
        attendance.make([&] { wanted = goes_on(on_token, token, shown); });
        return wanted;
      };
    }
    std::optional<GenerationResult> result;
    attendance.run([&] { result = run(); });
    attendance.raise_with(result ? py::cast(*result) : py::none());
    return std::move(*result);
  }
  SignalCheck signals;
  options.on_token = [&](int32_t token, std::string_view shown) {
    signals.poll();
    if (on_token.is_none()) return true;
    const GilTaken gil;
    return goes_on(on_token, token, shown);
  };
  const GilReleased release;
  return run();
}

py::object timings_text(const GenerationTimings& t) {
  // One new token takes no decode step: 0 stands for what was not measured.
  const auto speed = [](double measured) {
    return measured > 0 ? py::str(py::str("{:.0f} tokens/s").format(measured)) : py::str("-");
  };
  return py::str("<GenerationTimings first token {:.2f} ms, prefill {}, decode {}>")
      .format(t.first_token_ms, speed(t.prefill_tokens_per_second),
              speed(t.decode_tokens_per_second));
}

}  // namespace

void bind_generate(py::module_& module) {
  py::class_<GenerationOptions>(module, "GenerationOptions")
      .def(py::init<>())
      .def_readwrite("max_new_tokens", &GenerationOptions::max_new_tokens)
      .def_readwrite("temperature", &GenerationOptions::temperature)
      .def_readwrite("top_k", &GenerationOptions::top_k)
      .def_readwrite("top_p", &GenerationOptions::top_p)
      .def_readwrite("repetition_penalty", &GenerationOptions::repetition_penalty)
      .def_readwrite("seed", &GenerationOptions::seed)
      .def_readwrite("stop", &GenerationOptions::stop)
      .def_readwrite("ignore_eos", &GenerationOptions::ignore_eos);
  py::class_<GenerationTimings>(module, "GenerationTimings")
      .def_readonly("tokenize_ms", &GenerationTimings::tokenize_ms)
      .def_readonly("first_token_ms", &GenerationTimings::first_token_ms)
      .def_readonly("prefill_ms", &GenerationTimings::prefill_ms)
      .def_readonly("sampling_ms", &GenerationTimings::sampling_ms)
      .def_readonly("step_ns", &GenerationTimings::step_ns)
      .def_readonly("prefill_tokens_per_second", &GenerationTimings::prefill_tokens_per_second)
      .def_readonly("decode_tokens_per_second", &GenerationTimings::decode_tokens_per_second)
      .def("__repr__", &timings_text);
  py::class_<VerificationDrafter>(module, "VerificationDrafter")
      .def_readonly("name", &VerificationDrafter::name)
      .def_readonly("rounds", &VerificationDrafter::rounds)
      .def_readonly("drafted", &VerificationDrafter::drafted)
      .def_readonly("accepted", &VerificationDrafter::accepted)
      .def_readonly("acceptance", &VerificationDrafter::acceptance)
      .def_readonly("token_ms", &VerificationDrafter::token_ms)
      .def_readonly("speed_up", &VerificationDrafter::speed_up)
      .def_readonly("off", &VerificationDrafter::off);
  py::class_<VerificationReport>(module, "VerificationReport")
      .def_readonly("steps", &VerificationReport::steps)
      .def_readonly("baseline_passes", &VerificationReport::baseline_passes)
      .def_readonly("single_passes", &VerificationReport::single_passes)
      .def_readonly("single_ms", &VerificationReport::single_ms)
      .def_readonly("seconds", &VerificationReport::seconds)
      .def_readonly("speed_up", &VerificationReport::speed_up)
      .def_readonly("drafters", &VerificationReport::drafters)
      .def("__repr__", [](const VerificationReport& r) {
        return py::str("<VerificationReport {} tokens in {} passes, {:.2f} times as fast>")
            .format(r.steps, r.baseline_passes, r.speed_up);
      });
  py::class_<GenerationResult>(module, "GenerationResult")
      .def_property_readonly("text", [](const GenerationResult& r) { return to_str(r.text); })
      .def_readonly("tokens", &GenerationResult::tokens)
      .def_readonly("prompt_tokens", &GenerationResult::prompt_tokens)
      .def_readonly("stop_reason", &GenerationResult::stop_reason)
      .def_readonly("seed", &GenerationResult::seed)
      .def_readonly("timings", &GenerationResult::timings)
      .def_readonly("verification", &GenerationResult::verification)
      .def("__str__", [](const GenerationResult& r) { return to_str(r.text); })
      .def("__repr__", [](const GenerationResult& r) {
        return py::str("<GenerationResult {!r}, {} tokens, stopped by {}>")
            .format(to_str(r.text), r.tokens.size(), r.stop_reason);
      });
}

void add_generate(AdaptiveClass& model) {
  model.def("generate", &generate, py::arg("prompt"), py::arg("options"), py::arg("on_token"));
  model.def(
      "forward",
      [](AdaptiveModel& m, const Ids& ids) {
        py::array_t<float> logits(
            {ids.size(), static_cast<py::ssize_t>(m.baseline().vocab_size())});
        const std::span<float> out(logits.mutable_data(), static_cast<size_t>(logits.size()));
        const std::span<const int32_t> in = span_of(ids);
        {
          const GilReleased release;
          m.forward_into(in, out);
        }
        return logits;
      },
      py::arg("ids"));
  model.def(
      "forward_batch",
      [](AdaptiveModel& m, const Ids& ids, const py::array_t<uint8_t, py::array::c_style>& mask) {
        const py::ssize_t batch = ids.shape(0), length = ids.shape(1);
        py::array_t<float> logits(
            {batch, length, static_cast<py::ssize_t>(m.baseline().vocab_size())});
        const std::span<float> out(logits.mutable_data(), static_cast<size_t>(logits.size()));
        const std::span<const uint8_t> kept(mask.data(), static_cast<size_t>(mask.size()));
        const std::span<const int32_t> in = span_of(ids);
        {
          const GilReleased release;
          SignalCheck signals;
          // A sequence at a time, so that Ctrl-C is heard between them.
          const auto n = static_cast<size_t>(length),
                     size = n * static_cast<size_t>(m.baseline().vocab_size());
          if (in.empty())
            m.forward_batch_into(static_cast<int>(batch), static_cast<int>(length), in, kept, out);
          for (size_t i = 0; i * n < in.size(); ++i) {
            m.forward_batch_into(1, static_cast<int>(length), in.subspan(i * n, n),
                                 kept.empty() ? kept : kept.subspan(i * n, n),
                                 out.subspan(i * size, size));
            signals.poll();
          }
        }
        return logits;
      },
      py::arg("ids"), py::arg("mask"));
}

}  // namespace sentinel::python
