"""Small trees in the shape of public corpora as they are distributed, quirks included.

A tree says what its recipe is to make of it. Files hold their own path, where nothing else is said:
no recipe listens.
"""

import os
from dataclasses import dataclass, field


@dataclass
class Tree:
    """A release's files, and what is expected of them."""

    clips: dict  # {path: cells of its row in the manifest}
    left_out: dict = field(default_factory=dict)  # {path: words of the reason}
    tables: dict = field(default_factory=dict)  # {path: text or bytes} that the recipe reads
    contents: dict = field(default_factory=dict)  # {path: bytes} of those with bytes of their own
    unfiled: tuple = ()  # those of left_out that are no files, but are named by a table

    def write(self, root):
        """Write the tree into a folder; return the folder."""
        files = {path: os.fsencode(path) for path in (*self.clips, *self.left_out)}
        for path, content in (files | self.tables | self.contents).items():
            if path not in self.unfiled:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                data = content.encode() if isinstance(content, str) else content
                (root / path).write_bytes(data)
        return root


POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
HIDDEN = "a hidden file"
NO_SOUND = "no audio, and no table"
SAME = "the same as"
RULE = "fits no rule"


def ravdess():
    """Two actors, and all again in a folder of its own, as on Kaggle; a song and a video."""
    kids, dogs = "Kids are talking by the door", "Dogs are sitting by the door"
    names = {
        "Actor_01/03-01-01-01-01-01-01": ("01", "01", kids),
        "Actor_01/03-01-03-01-02-01-01": ("01", "03", dogs),
        "Actor_01/03-01-03-01-02-02-01": ("01", "03", dogs),
        "Actor_02/03-01-06-02-01-02-02": ("02", "06", kids),
        "Actor_03/03-01-08-02-01-02-03": ("03", "08", kids),
    }
    same = {f"Actor_01/03-01-03-01-02-0{n}-01.wav": b"the same" for n in (1, 2)}
    again = "audio_speech_actors_01-24/Actor_01/03-01-01-01-01-01-01.wav"
    return Tree(
        {
            f"{path}.wav": {"speaker": speaker, "label": label, "text": said, "scenario": said}
            for path, (speaker, label, said) in names.items()
        },
        {
            again: SAME,
            "audio_speech_actors_01-24/Actor_02/03-01-06-02-01-02-02.wav": "though its bytes",
            "Actor_01/03-02-01-01-01-01-01.wav": "a song",
            "Actor_01/01-01-01-01-01-01-01.mp4": "a video",
            "Actor_01/02-01-01-01-01-01-01.mp4": "a silent video",
            "Actor_01/03-01-09-01-01-01-01.wav": RULE,
            "Actor_01/._03-01-01-01-01-01-01.wav": HIDDEN,
            "README.txt": NO_SOUND,
        },
        contents=same | {again: b"Actor_01/03-01-01-01-01-01-01.wav"},
    )


TREES = {"ravdess": ravdess}
