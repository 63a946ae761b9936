// make_checkpoint --out DIR [shape]: writes a random GPT-2 checkpoint (random_checkpoint.h).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "random_checkpoint.h"
#include "sentinel/error.h"

int main(int argc, char** argv) {
  using sentinel::DType;
  sentinel::RandomCheckpoint spec;
  std::string out;
  CLI::App app("Writes a random GPT-2 checkpoint of any shape, with a tokenizer that fits");
  const std::map<std::string, DType> dtypes = {
      {"f32", DType::f32}, {"f16", DType::f16}, {"bf16", DType::bf16}};
  app.add_option("--out", out, "Folder to make")->required();
  app.add_option("--layers", spec.layers, "Number of layers")->capture_default_str();
  app.add_option("--heads", spec.heads, "Heads per layer")->capture_default_str();
  app.add_option("--d_model,--d-model", spec.d_model, "Width")->capture_default_str();
  app.add_option("--vocab", spec.vocab, "Tokens, 257 or more")->capture_default_str();
  app.add_option("--context", spec.context, "Positions")->capture_default_str();
  app.add_option("--ffn", spec.ffn, "Neurons per layer; 0: 4 * d_model")->capture_default_str();
  app.add_option("--dtype", spec.dtype, "f32, f16 or bf16")
      ->transform(CLI::CheckedTransformer(dtypes));
  app.add_option("--seed", spec.seed, "Same seed, same file")->capture_default_str();
  app.add_option("--shards", spec.shards, "Number of weight files")->capture_default_str();
  try {
    app.parse(argc, argv);
    sentinel::write_random_checkpoint(out, spec);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const sentinel::Error& e) {
    std::fprintf(stderr, "make_checkpoint: %s\n", e.what());
    return e.kind() == sentinel::ErrorKind::runtime ? 1 : 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "make_checkpoint: %s\n", e.what());
    return 1;
  }
  return 0;
}
