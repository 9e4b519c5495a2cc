"""What a run is made of, in hashes: its manifest, and what checkpoints of older versions were known by."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from tunelab.conversations.common_prompt import common_opening
from tunelab.dataset.dataset import Dataset
from tunelab.files import canonical_json, sha256_file, sha256_text
from tunelab.models.base_hashes import hash_base
from tunelab.recipes import Recipe, written_hash
from tunelab.registry import Manifest
from tunelab.rendering.renderer import Renderer
from tunelab.workspace import Run


def manifest_of(run: Run, recipe: Recipe, folder: Path, renderer: Renderer, data: Dataset) -> Manifest:
    """Return what the run is made of."""
    system_prompt, tools = common_opening(data.train)
    return Manifest(
        base_model=recipe.model.base_model,
        base_files=hash_base(folder),
        recipe_sha256=written_hash(run.recipe_text),
        data_sha256=_data_hash(data),
        template_sha256=renderer.template_hash,
        rendered_on=renderer.made_from.today,
        system_prompt=system_prompt,
        tools=tools,
    )


def older_fingerprints(run: Run, folder: Path, manifest: Manifest) -> tuple[str, ...]:
    """Return those of checkpoints saved when it held the recipe as written and the base's sizes, or names of places."""
    sizes = {file.name: file.stat().st_size for file in sorted(folder.glob("*.safetensors"))}
    config = manifest.base_files["config.json"]
    made_of = [sha256_file(run.recipe_file), sizes, config, manifest.template_sha256, manifest.data_sha256]
    text = re.sub(r"^  output_dir: .*$", "  output_dir: null", run.recipe_text, flags=re.MULTILINE)
    with_places = replace(manifest, recipe_sha256=sha256_text(text))
    return sha256_text(canonical_json(made_of)), with_places.fingerprint


def _data_hash(data: Dataset) -> str:
    tokens = hashlib.sha256()
    for side in (data.train_sequences, data.held_out_sequences):
        for each in side:
            tokens.update(b"%d %d " % (len(each.prompt_ids), len(each.completion_ids)))
            tokens.update(each.prompt_ids.tobytes() + each.completion_ids.tobytes())
        tokens.update(b"|")
    return tokens.hexdigest()
