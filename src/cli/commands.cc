#include "cli/commands.h"

namespace sentinel::cli {
namespace {

constexpr Command kCommands[] = {
    {"profile", "speed, memory and quality at several pruning levels, as a report", setup_profile},
    {"prune", "remove heads and neurons, refit the rest, write a smaller checkpoint", setup_prune},
    {"heads", "importance by every score, entropy and utilisation of each head", setup_heads},
    {"diff", "what differs between two checkpoints", setup_diff},
    {"export", "a profile's results as CSV, Markdown, HTML and charts", setup_export},
    {"generate", "write text from a prompt", setup_generate},
    {"eval", "perplexity of a text, and divergence from a base model", setup_eval},
    {"bench", "prefill and decode speed against the machine's limits", setup_bench},
    {"info", "what is in a checkpoint, the optimisation levels, this machine", setup_info},
};

}  // namespace

std::span<const Command> all_commands() { return kCommands; }

}  // namespace sentinel::cli
