"""What the config says of folds."""

from dataclasses import dataclass

from labelmer.base.options import option


@dataclass(frozen=True)
class FoldOptions:
    """How a corpus is split."""

    hold_out: str = option("the test part", example="speaker", enum=["session", "speaker"])
    validation: str = option(
        "the validation part", example="partner", enum=["session", "partner", "dialogues"]
    )
    shared_scripts: str = option(
        "training turns whose words validate or test", "keep", "drop", enum=["keep", "drop"]
    )
    fraction: float = option(
        "only with `dialogues`: share that validates, as near as whole dialogues come",
        0.2,
        0.1,
        exclusiveMinimum=0,
        maximum=0.5,
    )
    seed: int = option("with `dialogues`: of the draw", 1, 7, minimum=0)
