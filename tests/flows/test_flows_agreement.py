"""What several processes cannot do together is refused before a weight is loaded."""

import pytest

from tunelab.adapters.kinds import KINDS
from tunelab.errors import RecipeError
from tunelab.flows.training.agreement import shards_base
from tunelab.recipes import Recipe
from tunelab.training.world import ALONE, World


class _Two(World):
    size = 2


@pytest.mark.parametrize("section", [kind.section for kind in KINDS])
def test_a_base_that_is_trained_or_packed_is_not_split_over_processes(section: str) -> None:
    recipe = Recipe.model_validate({section: {}, "training": {"fsdp": True}})
    assert not shards_base(recipe, ALONE)
    assert not shards_base(Recipe.model_validate({section: {}}), _Two())
    if section in ("full", "qlora"):
        with pytest.raises(RecipeError, match=rf"^training\.fsdp: .*{section} has none.*fsdp: false"):
            shards_base(recipe, _Two())
    else:
        assert shards_base(recipe, _Two())
