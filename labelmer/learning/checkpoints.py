"""What a long training has done so far, epoch by epoch, so that it can go on after a kill.

    FOLDER/epochN/model.safetensors    the model's parameters after epoch N
    FOLDER/epochN/state.pt             what else the next epoch starts from
    FOLDER/epochN/digests.json         of the run and of the two files

An epoch's folder is made, and removed, under another name: it is there whole or not at all.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model

from labelmer.base.digest import file_digest
from labelmer.base.errors import InputError, in_words
from labelmer.base.files import writing
from labelmer.base.log import log

FILES = ("model.safetensors", "state.pt")


class Checkpoints:
    """The epochs of one run in a folder.

    key  digest of all that decides the run's result; epochs of another run are not taken up
    """

    def __init__(self, folder: Path | str, key: str) -> None:
        self.folder, self.key = Path(folder), key

    def save(self, epoch: int, model: torch.nn.Module, state: dict[str, Any], best: int) -> None:
        """Keep an epoch, and of the earlier ones the best only.

        state  what torch.load(weights_only=True) takes: tensors, numbers, strings, dicts, lists

        InputError: it cannot be written.
        """
        part = self.folder / "part"
        with writing(self._of(epoch)):
            try:
                self._write(part, model, state)
                part.rename(self._of(epoch))
            except BaseException:  # on a full disk it takes the room that is needed
                shutil.rmtree(part, ignore_errors=True)
                if not self._epochs():
                    shutil.rmtree(self.folder, ignore_errors=True)
                raise
        for other in set(self._epochs()) - {epoch, best}:
            self._discard(self._of(other))

    def _write(self, part: Path, model: torch.nn.Module, state: dict[str, Any]) -> None:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_model(model, str(part / FILES[0]))
        with (part / FILES[1]).open("wb") as file:  # so that a full disk is an OSError
            torch.save(state, file)
        facts = {"key": self.key, "files": {name: file_digest(part / name) for name in FILES}}
        (part / "digests.json").write_text(json.dumps(facts), encoding="utf-8")

    def load(self, epoch: int, model: torch.nn.Module) -> None:
        """Put a kept epoch's parameters into the model."""
        load_model(model, str(self._of(epoch) / FILES[0]))

    def last(self) -> tuple[int, dict[str, Any] | None]:
        """(N, state) of the last epoch kept, or (0, None), with a line in the log if it is no use.

        What is of no use is removed. InputError: an epoch that is there and cannot be read.
        """
        epochs = self._epochs()
        if not epochs:
            return 0, None
        problem = next(filter(None, map(self._problem, epochs)), None)
        if problem:
            log.warning("%s; all epochs are computed", problem)
            self.remove()
            return 0, None
        state = torch.load(self._of(epochs[-1]) / FILES[1], map_location="cpu", weights_only=True)
        return epochs[-1], state

    def remove(self) -> None:
        """Remove the folder, the last epoch first: what a kill here leaves can be gone on from.

        The last may name an earlier one as the best, and no epoch names a later one.
        """
        for epoch in reversed(self._epochs()):
            self._discard(self._of(epoch))
        shutil.rmtree(self.folder, ignore_errors=True)

    def _discard(self, folder: Path) -> None:
        """Remove an epoch's folder, under another name: it would look damaged after a kill here."""
        gone = self.folder / "gone"
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone)

    def _problem(self, epoch: int) -> str:
        folder = self._of(epoch)
        try:
            facts = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
            if facts["key"] != self.key:
                return f"{folder} is of a run with other data, options or code"
            digests = {name: file_digest(folder / name) for name in FILES}
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            return f"{folder} is damaged ({in_words(error)})"
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be read ({error.strerror}); let it be read, and run again; the "
                "epochs in it are kept"
            ) from None
        return "" if digests == facts["files"] else f"{folder} is damaged (its digests do not fit)"

    def _epochs(self) -> list[int]:
        """The numbers of the epochs that are there, in order."""
        names = [path.name.removeprefix("epoch") for path in self.folder.glob("epoch*")]
        return sorted(int(name) for name in names if name.isdecimal())

    def _of(self, epoch: int) -> Path:
        return self.folder / f"epoch{epoch}"
