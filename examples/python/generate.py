"""Text from a prompt, token by token: generate.py [PROMPT [MODEL]]"""

import sys
from typing import List

import sentinel


def main(arguments: List[str]) -> None:
    prompt = arguments[0] if arguments else "Once upon a time"
    baseline = sentinel.load_baseline_model(
        arguments[1] if len(arguments) > 1 else sentinel.bundled_model()
    )
    model = sentinel.load_adaptive_model(baseline_model=baseline, optimization_level=2)

    print(prompt, end="")
    result = model.generate(
        prompt, max_new_tokens=32, seed=7, on_token=lambda token, text: print(text, end="", flush=True)
    )
    print(f"\n\n{len(result.tokens)} tokens ({result.stop_reason}): {result.timings}")
    print(model)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except sentinel.Error as error:
        sys.exit(f"generate.py: {error}")
