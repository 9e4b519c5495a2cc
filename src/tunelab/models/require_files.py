"""What keeps a folder from being loaded as a base model, found before a weight is read. Imports no torch.

Check and train call the same functions, so that check refuses what train would.
"""

import ast
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tunelab.errors import ModelError, counted, guess, listed
from tunelab.models.architecture import other_inputs, quantized_in
from tunelab.models.model_files import read_description
from tunelab.models.weight_headers import INDEX_FILE, WEIGHTS_FILE, fault_in, weight_files

_POINTER = b"version https://git-lfs.github.com/spec/"
_MOST_POINTER_BYTES = 1024
_PICKLED = ("*.bin", "*.pt", "*.pth")
_OTHER_FORMATS = ("*.h5", "*.msgpack")
_CONFIGS, _TEXT_MODELS = "CONFIG_MAPPING_NAMES", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"


def require_loadable(folder: Path) -> None:
    """Raise a ModelError if the model in `folder` is not one that can be trained: its kind, then its weights."""
    require_text_model(folder)
    if method := quantized_in(folder):
        remedy = "Take the model it was made from, in 16 or 32 bits, and quantize after merging."
        what = f"the weights are quantized ({method}), and tunelab trains over whole ones"
        raise ModelError(what, where=str(folder), remedy=remedy)
    require_weights(folder)


def require_model_folder(folder: Path) -> None:
    """Raise a ModelError if `folder` holds no model that transformers saved, or pointers instead of its files.

    An adapter and a run are named for what they are, with the way to use them.
    """
    if (folder / "config.json").is_file():
        _refuse_pointers(folder)
        return
    _refuse_adapter(folder)
    _refuse_run(folder)
    inside = [f'"{each.parent}"' for each in sorted(folder.glob("*/config.json"))]
    raise ModelError(
        "this folder holds no config.json",
        where=str(folder),
        expected="a model saved by transformers",
        remedy=f"Did you mean {listed(inside, at_most=3)}?" if inside else "",
    )


def require_text_model(folder: Path) -> None:
    """Raise a ModelError if the config.json in `folder` names a kind of model that transformers cannot load for text.

    A config.json that cannot be read passes: loading says what is wrong with it.
    """
    config = read_description(folder)
    if not config:
        return
    kind, where = config.get("model_type"), str(folder / "config.json")
    configs, networks = _kinds()
    if (kind in networks and kind in configs) or not find_spec("transformers"):
        return
    configs, networks = _imported_kinds()  # a refusal goes by what transformers says when it runs
    if kind not in configs:
        raise ModelError(
            f'transformers {version("transformers")} knows no model type "{kind}"',
            where=where,
            remedy=f"{guess(str(kind), configs) or 'A newer transformers may know it: pip install -U transformers.'} "
            "Code that a model folder brings along is never run.",
        )
    # Several kinds may share the class of their config, and not each of them is listed as writing text.
    if configs[kind] not in {configs[each] for each in networks if each in configs}:
        what, remedy = f"{kind} is no model that only writes text", "Take a text model."
        if inputs := other_inputs(config):
            what = f"{kind} takes {inputs}, and transformers does not load it for text alone"
            remedy = "Take a text model, such as the one built into it; of Gemma 3 tunelab trains the text part."
        raise ModelError(what, where=where, remedy=remedy)


def require_weights(folder: Path) -> None:
    """Raise a ModelError if the weights in `folder` are missing, not all there, cut off, or not safetensors."""
    files = weight_files(folder)
    if not files:
        _refuse_other_weights(folder)
    if missing := [file.name for file in files if not file.is_file()]:
        what = f"{len(missing)} of {counted(len(files), 'file')} of weights are missing ({listed(missing, at_most=3)})"
        expected = f"every file that {INDEX_FILE} names"
        raise ModelError(what, where=str(folder), expected=expected, remedy="Fetch the model again, all of its files.")
    for file in files:
        if fault := fault_in(file):
            raise ModelError(fault, where=str(file), remedy="Fetch this file again.")


def _refuse_adapter(folder: Path) -> None:
    settings = read_description(folder, "adapter_config.json")
    if settings:
        of = settings.get("base_model_name_or_path") or "a base model that it does not name"
        raise ModelError(
            f"this folder holds an adapter of {of}, not a base model",
            where=str(folder),
            expected="a model saved by transformers",
            remedy=f"Train on its base (model.base_model: {of}); to talk to the adapter: tunelab chat {folder}.",
        )


def _refuse_run(folder: Path) -> None:
    if not ((folder / "recipe.yaml").is_file() and (folder / "events.jsonl").is_file()):
        return
    remedy = f"To talk to it: tunelab chat {folder}."
    if (folder / "adapter" / "config.json").is_file():
        remedy = f"The model that it trained lies in {folder / 'adapter'}. {remedy}"
    elif base := read_description(folder, "manifest.json").get("base_model"):
        remedy = f"It was tuned from {base}, which is the model to train on. {remedy}"
    raise ModelError("this folder is a run of tunelab, not a base model", where=str(folder), remedy=remedy)


def _refuse_pointers(folder: Path) -> None:
    pointers = [file.name for file in sorted(folder.iterdir()) if is_pointer(file)]
    if pointers:
        are = "is a Git LFS pointer" if len(pointers) == 1 else "are Git LFS pointers"
        what = (
            f"{listed(pointers, at_most=3)} {are} of a few bytes, not the {'file' if len(pointers) == 1 else 'files'}"
        )
        remedy = "Fetch what they point to: git lfs pull, in this folder."
        raise ModelError(what, where=str(folder), remedy=remedy)


def is_pointer(file: Path) -> bool:
    """Return True for what Git checks out instead of a large file if Git LFS is not installed."""
    try:
        if not file.is_file() or file.stat().st_size > _MOST_POINTER_BYTES:
            return False
        return file.read_bytes().startswith(_POINTER)
    except OSError:
        return False


def _refuse_other_weights(folder: Path) -> None:
    where = str(folder)
    if found := [file.name for file in sorted(folder.glob("*.safetensors"))]:
        what = f"it holds {listed(found, at_most=3)}, and neither {WEIGHTS_FILE} nor {INDEX_FILE}"
        raise ModelError(what, where=where, remedy="Fetch the model again, all of its files.")
    for how, patterns in (("pickled", _PICKLED), ("in another format", _OTHER_FORMATS)):
        if others := [file.name for pattern in patterns for file in sorted(folder.glob(pattern))]:
            what = f"the weights are {how} ({listed(others, at_most=3)})"
            remedy = "Save the model again with save_pretrained of transformers, which writes safetensors; "
            remedy += "pickled weights are never read."
            raise ModelError(what, where=where, expected="*.safetensors", remedy=remedy)
    raise ModelError("this model folder holds no weights", where=where, expected=WEIGHTS_FILE)


def _kinds() -> tuple[dict[str, str], dict[str, str]]:
    """Return model type -> class of its config, and of its network that writes text, as transformers lists them.

    Both are read from its source: importing it loads torch, which takes seconds. Empty if it is not installed.
    """
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        return {}, {}
    auto = Path(spec.origin).parent / "models" / "auto"
    return _listed_in(auto / "auto_mappings.py", _CONFIGS), _listed_in(auto / "modeling_auto.py", _TEXT_MODELS)


def _imported_kinds() -> tuple[dict[str, str], dict[str, str]]:
    from transformers.models.auto import configuration_auto, modeling_auto

    return dict(vars(configuration_auto)[_CONFIGS]), dict(vars(modeling_auto)[_TEXT_MODELS])


@cache
def _listed_in(source: Path, name: str) -> dict[str, str]:
    try:
        for statement in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == name:
                return dict(ast.literal_eval(statement.value.args[0]))  # type: ignore[attr-defined]
    except (OSError, SyntaxError, ValueError, AttributeError):
        pass  # a transformers that lists them elsewhere: it is imported
    return {}
