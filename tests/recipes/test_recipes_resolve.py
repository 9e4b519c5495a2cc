"""Values come from the command line, the environment, the file and the defaults, in this order, each with its place."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunelab.errors import RecipeError
from tunelab.recipes import Recipe, explain, resolve_recipe, to_yaml, written_hash
from tunelab.recipes.recipe import ADAPTERS, FIELDS, SECTIONS
from tunelab.recipes.unknown_keys import FOREIGN


def _recipe(folder: Path, text: str | bytes, name: str = "recipe.yaml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _refusal(path: Path, **how: object) -> str:
    with pytest.raises(RecipeError) as caught:
        resolve_recipe(path, environment={}, **how)  # type: ignore[arg-type]
    return str(caught.value)


def test_each_value_names_the_place_it_came_from_and_the_nearer_place_wins(tmp_path: Path) -> None:
    path = _recipe(
        tmp_path, "data:\n  train_files: a.jsonl\nlora:\n  r: 4\n  lora_alpha: 8\n  lora_dropout: 0.1\n  bias: all\n"
    )
    (tmp_path / ".env").write_text("# ours\nexport LLM_LORA__LORA_ALPHA='9'\nLLM_LORA__BIAS=lora_only # why\nOTHER=1\n")
    resolved = resolve_recipe(
        path,
        overrides=["lora.lora_dropout=0.3", "lora.lora_dropout=0.4"],
        environment={"LLM_LORA__LORA_ALPHA": "10", "LLM_LORA__LORA_DROPOUT": "0.2", "LLM_API_KEY": "x"},
    )
    assert resolved.recipe.lora is not None
    assert resolved.recipe.lora.model_dump(include={"r", "lora_alpha", "lora_dropout", "bias"}) == {
        "r": 4,
        "lora_alpha": 10,
        "lora_dropout": 0.4,
        "bias": "lora_only",
    }
    assert resolved.sources["lora.r"] == f"{path}:4"
    assert resolved.sources["lora.bias"] == ".env:3"
    assert resolved.sources["lora.lora_alpha"] == "environment LLM_LORA__LORA_ALPHA"
    assert resolved.sources["lora.lora_dropout"] == "--set"
    assert resolved.sources["training.seed"] == "default"
    assert resolved.base == tmp_path


def test_variables_alone_are_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environment = {
        "LLM_MODEL__TORCH_DTYPE": "bfloat16",
        "LLM_DATA__TRAIN_FILES": "agent-*.jsonl",
        "LLM_DATA__EVAL_FILES": '["x.jsonl", "y.jsonl"]',
        "LLM_TRAINING__LEARNING_RATE": "2e-4",
        "LLM_TRAINING__BF16": "true",
    }
    resolved = resolve_recipe(None, environment=environment)
    assert resolved.recipe.model.torch_dtype == "bfloat16"
    assert resolved.recipe.data.train_files == ("agent-*.jsonl",)
    assert resolved.recipe.data.eval_files == ("x.jsonl", "y.jsonl")
    assert resolved.recipe.training.learning_rate == 2e-4
    assert resolved.recipe.training.bf16
    assert resolved.dialect == "environment"
    assert resolved.base == tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lora.target_modules=attention", "attention"),
        ("lora.target_modules=q_proj, v_proj", ("q_proj", "v_proj")),
        ("lora.target_modules=[q_proj, v_proj]", ("q_proj", "v_proj")),
        ("data.train_files=a.jsonl,name[train,test],{b,c}.json", ("a.jsonl", "name[train,test]", "{b,c}.json")),
        ("data.system_prompt=Answer so: be brief", "Answer so: be brief"),
        ("data.system_prompt=[sic", "[sic"),
        ("data.system_prompt=null", None),
        ("model.revision=1234567", "1234567"),
        ("training.eval_strategy=no", "no"),
        ("data.chat_template_kwargs={enable_thinking: false}", {"enable_thinking": False}),
        ("training.num_train_epochs=0.5", 0.5),
        ("data.system_prompt={<<: {a: 1}}", "{<<: {a: 1}}"),
    ],
)
def test_an_override_is_yaml_unless_the_setting_holds_text(text: str, expected: object) -> None:
    section, _, key = text.partition("=")[0].partition(".")
    recipe = resolve_recipe(None, overrides=[text], environment={}).recipe
    assert getattr(getattr(recipe, section), key) == expected


TEXTS = [
    "Ticket #{id}: {text}",
    "# Rules",
    "one\n  two\n\nthree",
    "'quoted'",
    '"quoted"',
    "- a",
    "1e-4",
    "true",
    " x ",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_from_outside_the_file_is_taken_as_it_is(tmp_path: Path, text: str) -> None:
    name, variable = "data.prompt_template", "LLM_DATA__PROMPT_TEMPLATE"
    by_option = resolve_recipe(None, overrides=[f"{name}={text}"], environment={})
    by_variable = resolve_recipe(None, environment={variable: text})
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    (tmp_path / ".env").write_text(f'{variable}="{escaped}"\n')
    by_file = resolve_recipe(_recipe(tmp_path, "lora:\n"), environment={})
    for resolved in (by_option, by_variable, by_file):
        assert resolved.recipe.data.prompt_template == text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.train_files=", ()),
        ("data.system_prompt=", ""),
        ("training.num_training_steps=", None),
        ("data.train_files=a #1.jsonl", ("a #1.jsonl",)),
        ("evaluation.stop_strings=#end", ("#end",)),
        ("lora.target_modules=", ()),
        ("lora.layers_to_transform=0, 1", (0, 1)),
        ("lora.init_lora_weights=true", True),
        ("data.field_map={prompt: question}", {"prompt": "question"}),
    ],
)
def test_nothing_is_an_empty_text_or_list_and_names_are_parted_at_commas(override: str, expected: object) -> None:
    section, _, key = override.partition("=")[0].partition(".")
    recipe = resolve_recipe(None, overrides=[override], environment={}).recipe
    assert getattr(getattr(recipe, section), key) == expected


def test_an_empty_value_of_a_number_says_what_it_may_be() -> None:
    with pytest.raises(RecipeError, match=r"--set: training.seed is null; expected a whole number"):
        resolve_recipe(None, overrides=["training.seed="], environment={})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'A=1\nLLM_LORA__R="4\n', ".env:2: this line cannot be read; expected NAME=value, and quotes that end."),
        (b'OTHER="open\nLLM_LORA__R=4\nB="x"\n', ".env:1: the quote that opens here ends after other settings"),
        (b"\n\nLLM_DATA__SYSTEM_PROMPT=Rules # all\n", ".env:3: what comes after # may be a comment or part of"),
        (b"LLM_DATA__TRAIN_FILES=data #1.jsonl\n", ".env:1: what comes after # may be a comment or part of"),
        (b"LLM_DATA__SYSTEM_PROMPT=one \\\ntwo\n", ".env:1: this line ends in a backslash"),
        ("LLM_DATA__SYSTEM_PROMPT=caf\u00e9\n".encode("latin-1"), ".env:1: byte 0xe9 is not UTF-8"),
        ("LLM_LORA__R=4\n".encode("utf-16-le"), ".env: this is not UTF-8 but UTF-16"),
        ("LLM_LORA__R=4\n".encode("utf-16"), ".env:1: byte 0xff is not UTF-8"),
    ],
)
def test_a_line_of_a_dotenv_that_may_mean_two_things_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / ".env").write_bytes(content)
    assert expected in _refusal(_recipe(tmp_path, "lora:\n"))


def test_lines_of_a_dotenv_that_are_others_may_be_anything(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"export A='x' # y\nB=\"open\nC==\nno equals\nLLM_KEY=1\nLLM_LORA__R = 4 # ours\n")
    assert resolve_recipe(_recipe(tmp_path, "lora:\n"), environment={}).sources["lora.r"] == ".env:6"
    (tmp_path / ".env").write_bytes(b"NAME=caf\xe9\n")
    assert resolve_recipe(_recipe(tmp_path, "lora:\n"), environment={}).recipe.lora is not None


def test_without_a_method_lora_is_trained_and_said_so(tmp_path: Path) -> None:
    resolved = resolve_recipe(_recipe(tmp_path, "data:\n  train_files: [a.jsonl]\n"), environment={})
    assert resolved.recipe.adapter == resolved.recipe.lora
    assert any("LoRA" in note for note in resolved.notes)
    for method in ADAPTERS:
        chosen = resolve_recipe(_recipe(tmp_path, f"{method}:\n"), environment={})
        assert chosen.recipe.adapter == getattr(chosen.recipe, method)
        assert chosen.notes == ()


def test_a_projection_that_is_switched_off_has_no_width_and_is_said_so(tmp_path: Path) -> None:
    text = "prefix_tuning:\n  prefix_projection: {}\n  encoder_hidden_size: 64\n"
    notes = {on: resolve_recipe(_recipe(tmp_path, text.format(on)), environment={}).notes for on in ("true", "false")}
    assert notes["true"] == ()
    assert "encoder_hidden_size has no effect" in notes["false"][0]


def test_sampling_that_greedy_answers_leave_without_effect_is_said_so(tmp_path: Path) -> None:
    text = "lora:\n  r: 4\nevaluation:\n  temperature: {}\n  top_p: 0.9\n  top_k: 0\n"
    notes = {heat: resolve_recipe(_recipe(tmp_path, text.format(heat)), environment={}).notes for heat in (0, 0.7)}
    assert notes == {
        0: ("evaluation.top_p has no effect: evaluation.temperature is 0, which answers greedily.",),
        0.7: (),
    }


def test_two_methods_are_refused_with_both_places(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "lora:\n  r: 4\n  lora_alpha: 8\n")
    for other in ("soft_prompt", "prefix_tuning"):
        message = _refusal(path, overrides=[f"{other}.number_of_virtual_tokens=8"])
        assert f"lora (at {path}:2) and {other} (at --set) are both set" in message
    three = "soft_prompt:\nlora:\n  r: 4\nprefix_tuning:\n"
    message = _refusal(_recipe(tmp_path, three))
    assert all(f"{name} (at {path}:{line})" in message for name, line in (("lora", 3), ("soft_prompt", 1)))
    assert f"prefix_tuning (at {path}:4) are all set" in message


def test_bf16_and_fp16_together_are_refused(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "training:\n  bf16: true\n  fp16: true\n")
    assert f"{path}:2 and {path}:3" in _refusal(path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("learning_rate: -1", "a number of more than 0 and at most 1"),
        ("learning_rate: .nan", "a number of more than 0 and at most 1"),
        ("max_grad_norm: .inf", "a number of at least 0"),
        ("learning_rate: true", "a number"),
        ("eval_steps: 1.5", "a whole number of at least 1"),
        ("early_stopping_patience: 0", "at least 1, or null"),
        ("lr_scheduler_type: linaer", 'Did you mean "linear"?'),
        ("bf16: 3", "true or false"),
        ("output_dir: [a]", "text, or null"),
        ("seed: null", "a whole number"),
    ],
)
def test_an_impossible_value_is_refused_with_its_line_and_its_range(tmp_path: Path, line: str, expected: str) -> None:
    path = _recipe(tmp_path, f"training:\n  {line}\n")
    message = _refusal(path)
    assert message.startswith(f"{path}:2: training.{line.partition(':')[0]} is ")
    assert expected in message


def test_a_scale_of_some_layers_is_a_number_with_an_end(tmp_path: Path) -> None:
    message = _refusal(_recipe(tmp_path, "lora:\n  alpha_pattern: {q_proj: .inf}\n"))
    assert "lora.alpha_pattern is " in message
    assert "each a number of more than 0" in message


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("training:\n  learning_rte: 1\n", 2, 'Did you mean "training.learning_rate"?'),
        ("lora:\n  learning_rate: 1\n", 2, 'Did you mean "training.learning_rate"?'),
        ("trainig:\n  seed: 1\n", 2, 'Did you mean "training.seed"?'),
        ("trainig:\n  zzzz: 1\n", 2, 'Did you mean "training"?'),
        ("data:\n  train_files: a\nmax_lenght: 3\n", 3, 'Did you mean "data.max_length"?'),
        ("data:\n  train_files: a\nseed: 3\n", 3, 'Did you mean "training.seed"?'),
        ("training:\n  evaluation_strategy: steps\n", 2, "training.eval_strategy"),
        ("training:\n  dataloader_num_workers: 2\n", 2, "no loader process"),
        ("model:\n  trust_remote_code: true\n", 2, "no such switch"),
        ("model:\n  load_in_4bit: true\n", 2, "the section qlora instead of lora"),
        ("data:\n  packing: true\n", 2, "batching.varied_seqlen"),
        ("training:\n  max_steps: 3\n", 2, "training.num_training_steps"),
        ("training:\n  zzzzqqqq: 3\n", 2, "Known names"),
        ("training:\n  lr: 1e-4\n", 2, "It is called training.learning_rate here."),
        ("lora:\n  lora_rank: 8\n", 2, "It is called lora.r here."),
        ("qlora:\n  lora_rank: 8\n", 2, "It is called qlora.r here."),
        ("lora:\n  rank: 8\n", 2, "It is called lora.r here."),
        ("lora:\n  rnk: 8\n", 2, 'Did you mean "rank"? It is called lora.r here.'),
        ("lora:\n  lora_target: all\n", 2, "It is called lora.target_modules here: all is all-linear."),
        ("qlora:\n  load_in_4bit: true\n", 2, "The nearest setting is qlora.quantization."),
        ("qlora:\n  bnb_4bit_quant_type: fp4\n", 2, "4 bits are those of nf4."),
        ("data:\n  cutoff_len: 8\n", 2, "It is called data.max_length here."),
        ("training:\n  sequence_len: 8\n", 2, "It is called data.max_length here."),
        ("data:\n  val_size: 0.1\n", 2, "It is called data.eval_fraction here"),
        ("data:\n  template: llama3\n", 2, "The nearest setting is data.chat_template."),
        ("training:\n  packing: true\n", 2, "true is varied_seqlen false"),
        ("training:\n  wandb_project: mine\n", 2, "Each run writes events.jsonl"),
        ("data:\n  train: a.jsonl\n", 2, 'Did you mean "data.train_files"?'),
    ],
)
def test_pain_23_a_key_that_nothing_reads_is_refused_with_the_nearest(
    tmp_path: Path, text: str, line: int, expected: str
) -> None:
    path = _recipe(tmp_path, text)
    message = _refusal(path)
    assert f":{line}: there is no" in message.replace(str(path), "")
    assert expected in message


def test_pain_23_an_unread_variable_or_override_is_refused_too() -> None:
    for how in ({"environment": {"LLM_TRANING__SEED": "1"}}, {"environment": {}, "overrides": ["training.sed=1"]}):
        with pytest.raises(RecipeError, match="Did you mean"):
            resolve_recipe(None, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("lora.lora_rank=8", "It is called lora.r here."),
        ("lr=1e-4", "It is called training.learning_rate here."),
        (
            "checks.ignore.few_steps=x",
            "checks.ignore is a mapping, which is given whole: checks.ignore={few_steps: ...}.",
        ),
        ("training.seed.x=1", "training.seed holds a whole number of at least 0"),
    ],
)
def test_names_of_other_tools_are_known_in_overrides_and_variables_too(override: str, expected: str) -> None:
    name, _, value = override.partition("=")
    variable = f"LLM_{name.upper().replace('.', '__')}"
    with pytest.raises(RecipeError) as caught:
        resolve_recipe(None, overrides=[override], environment={})
    assert expected in str(caught.value)
    if "__" in variable:
        with pytest.raises(RecipeError) as caught:
            resolve_recipe(None, environment={variable: value})
        assert expected in str(caught.value)


def test_a_name_that_is_like_none_of_its_section_is_not_said_to_be_one_of_another() -> None:
    for override in ("training.zr=1", "data.rr=1", "training.alfa=1"):
        with pytest.raises(RecipeError) as caught:
            resolve_recipe(None, overrides=[override], environment={})
        assert "Did you mean" not in str(caught.value)


def test_no_word_on_a_foreign_key_hides_a_setting_and_each_setting_it_names_exists() -> None:
    words = {word.strip(".,;:") for text in FOREIGN.values() for word in text.split()}
    named = {word for word in words if word.partition(".")[0] in SECTIONS and "." in word}
    assert named
    assert named <= set(FIELDS)
    assert not {dotted.partition(".")[2] for dotted in FIELDS} & set(FOREIGN)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"# nothing\n", "empty"),
        (b"- a\n", "this is a list"),
        (b"just text\n", "this is a text"),
        (b"data:\n  max_length: 8\n  max_length: 9\n", ':3: a second value for the key "max_length"'),
        (b"data:\n\tmax_length: 8\n", ":2: this is a tab"),
        (b"data: [1\n", "not YAML"),
        (b"data:\n  system_prompt: caf\xe9\n", ":2: byte 0xe9 is not UTF-8"),
        (b"data:\n  system_prompt: \x00\n", "not YAML"),
        (b"data:\n  max_length: !!float x\n", "tag"),
        (b"data:\n  max_length: !!python/object:os.system x\n", ":2: this is a value tagged"),
        (b"data:\n  train_files: [[a]]\n", ":2: this is a list"),
        (b"data: 3\n", "the section data holds 3"),
        (b"data:\n  cleaning: 3\n", ":2: the section data.cleaning holds 3; expected settings such as text_fields:"),
        (
            b"model: nano\ndata:\n  train_files: a\n",
            ':1: the section model holds "nano"; expected settings such as base_model:',
        ),
        (b"a: 1\n---\nb: 2\n", "not YAML"),
        (b"training:\n  seed: 2024-01-01\n", ":2: this is a date"),
    ],
)
def test_a_file_that_is_no_recipe_says_why(tmp_path: Path, content: bytes, expected: str) -> None:
    assert expected in _refusal(_recipe(tmp_path, content))


def test_a_missing_file_a_folder_and_a_huge_file_are_told_apart(tmp_path: Path) -> None:
    _recipe(tmp_path, "lora:\n", "taxonomy.yaml")
    assert 'Did you mean "taxonomy.yaml"?' in _refusal(tmp_path / "taxonmy.yaml")
    assert "YAML files in it: taxonomy.yaml" in _refusal(tmp_path)
    assert "at most 256 KiB" in _refusal(_recipe(tmp_path, b"#" * (1 << 18) + b"\n", "big.yaml"))


def test_aliases_cannot_blow_up(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)
    ]
    assert "this is a list" in _refusal(_recipe(tmp_path, "\n".join(lines)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lora: &a\n  r: 4\ntraining:\n  <<: *a\n", 4),
        ("data:\n  cleaning: {<<: {seed: 1}}\n", 2),
        ("lora: &a\n  r: 4\n!!merge x: *a\n", 3),
        ("a0: &a0 {r: 4}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60)), 2),
    ],
)
def test_a_merge_is_refused_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    path = _recipe(tmp_path, text)
    assert _refusal(path) == f"{path}:{line}: merges (<<) are not read; expected each setting written out."


def test_a_merge_in_an_override_is_no_mapping() -> None:
    with pytest.raises(RecipeError, match="expected a mapping"):
        resolve_recipe(None, overrides=["data.chat_template_kwargs={a: 1, << : {b: 1}}"], environment={})


def test_a_value_may_be_two_angle_brackets_and_an_alias_is_its_anchor(tmp_path: Path) -> None:
    text = "data:\n  train_files: &files [a.jsonl]\n  eval_files: *files\n  system_prompt: '<<'\n"
    data = resolve_recipe(_recipe(tmp_path, text), environment={}).recipe.data
    assert (data.eval_files, data.system_prompt) == (("a.jsonl",), "<<")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert (
        resolve_recipe(_recipe(tmp_path, b"\xef\xbb\xbfseed: 7\nepochs: 2\n"), environment={}).recipe.training.seed == 7
    )


def test_a_warm_up_that_the_scheduler_ignores_is_said_aloud(tmp_path: Path) -> None:
    path = _recipe(tmp_path, "training:\n  num_warmup_steps: 9\n")
    assert any("no effect" in note for note in resolve_recipe(path, environment={}).notes)
    warm = resolve_recipe(path, overrides=["training.lr_scheduler_type=cosine_with_warmup"], environment={})
    assert not any("no effect" in note for note in warm.notes)


def test_an_anchored_recipe_means_the_same_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tools.json").write_text("[]")
    (tmp_path / "base").mkdir()
    text = "model:\n  base_model: base\ndata:\n  data_dir: data\n  train_files: a.jsonl\n  tool_catalog: tools.json\n"
    resolved = resolve_recipe(_recipe(tmp_path, text + "training:\n  output_dir: out\n"), environment={})
    anchored = resolved.anchored
    assert anchored.data.data_dir == str(tmp_path / "data")
    assert anchored.data.tool_catalog == str(tmp_path / "data" / "tools.json")
    assert anchored.model.base_model == str(tmp_path / "base")
    assert anchored.training.output_dir == str(tmp_path / "out")
    elsewhere = tmp_path / "runs" / "x"
    elsewhere.mkdir(parents=True)
    again = resolve_recipe(_recipe(elsewhere, to_yaml(anchored)), environment={})
    assert again.anchored == anchored
    assert written_hash(to_yaml(again.anchored)) == written_hash(to_yaml(anchored))


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=25, deadline=None)
@given(
    data=st.fixed_dictionaries(
        {},
        optional={
            "system_prompt": _TEXT,
            "prompt_template": _TEXT,
            "train_files": st.lists(_TEXT.map(lambda text: text.replace("\0", "")), max_size=3),
            "chat_template_kwargs": st.dictionaries(_TEXT, st.booleans() | st.integers(-9, 9) | _TEXT, max_size=2),
        },
    ),
    rate=st.floats(1e-12, 1, exclude_min=True),
    method=st.sampled_from(sorted(ADAPTERS)),
)
def test_the_canonical_text_reads_back_as_the_same_recipe(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object], rate: float, method: str
) -> None:
    tree = {"data": data, "training": {"learning_rate": rate}, method: {}}
    recipe = Recipe.model_validate(tree)
    text = to_yaml(recipe)
    path = _recipe(tmp_path_factory.mktemp("r"), text)
    again = resolve_recipe(path, environment={})
    assert again.recipe == recipe
    assert to_yaml(again.recipe) == text
    assert written_hash(to_yaml(again.recipe)) == written_hash(to_yaml(recipe))
    assert math.isclose(again.recipe.training.learning_rate, rate, rel_tol=0)


def test_the_hash_changes_with_a_value_and_not_with_the_folder_of_the_run() -> None:
    changed = Recipe.model_validate({"training": {"seed": 43}})
    elsewhere = Recipe.model_validate({"training": {"output_dir": "/elsewhere"}})
    assert written_hash(to_yaml(Recipe())) != written_hash(to_yaml(changed))
    assert written_hash(to_yaml(Recipe())) == written_hash(to_yaml(elsewhere))
    assert to_yaml(Recipe()) != to_yaml(elsewhere)


@pytest.mark.parametrize("given", ["", "  eval_max_length: null\n"])
def test_held_out_sequences_are_as_long_as_training_ones_unless_told(tmp_path: Path, given: str) -> None:
    path = _recipe(tmp_path, f"data:\n  train_files: a\n  max_length: 64\n{given}")
    resolved = resolve_recipe(path, environment={})
    assert resolved.recipe.data.eval_max_length == 64
    assert "eval_max_length: 64\n" in to_yaml(resolved.anchored)
    assert resolve_recipe(path, overrides=["data.eval_max_length=9"], environment={}).recipe.data.eval_max_length == 9
    assert _refusal(path, overrides=["data.max_length=1"]).startswith("--set: data.max_length is 1")


CLEANING = (
    "model:\n  base_model: base\ntraining:\n  seed: 7\ndata:\n  train_files: a\n  cleaning:\n    drop_nulls: true\n"
)


def test_cleaning_counts_by_the_base_model_and_draws_by_the_recipes_seed_and_it_is_said(tmp_path: Path) -> None:
    path = _recipe(tmp_path, CLEANING)
    resolved = resolve_recipe(path, overrides=["data.cleaning.min_tokens=3", "data.cleaning.max_samples=9"])
    cleaning = resolved.recipe.data.cleaning
    assert (cleaning.tokenizer, cleaning.seed) == ("base_model", 7)
    assert resolved.sources["data.cleaning.tokenizer"] == "model.base_model by default"
    assert resolved.sources["data.cleaning.seed"] == "training.seed by default"
    assert resolved.notes[0] == "data.cleaning counts tokens by the tokenizer of the base model, base."
    assert resolved.notes[1] == "data.cleaning samples rows by training.seed, 7."
    assert not [
        row.key for row in explain(resolved) if row.key.endswith(("tokenizer", "cleaning.seed")) and row.changed
    ]
    again = resolve_recipe(_recipe(tmp_path, to_yaml(resolved.anchored), "again.yaml"))
    assert again.anchored == resolved.anchored
    assert not any("data.cleaning" in note for note in again.notes)


def test_what_cleaning_is_told_or_does_not_use_follows_nobody(tmp_path: Path) -> None:
    path = _recipe(tmp_path, CLEANING)
    unused = resolve_recipe(path).recipe.data.cleaning
    assert (unused.tokenizer, unused.seed) == ("nano", 42)
    told = ["data.cleaning.tokenizer=own.json", "data.cleaning.seed=3"]
    used = ["data.cleaning.max_tokens=3", "data.cleaning.max_per_class=9"]
    resolved = resolve_recipe(path, overrides=[*told, *used])
    assert (resolved.recipe.data.cleaning.tokenizer, resolved.recipe.data.cleaning.seed) == ("own.json", 3)
    assert resolved.anchored.data.cleaning.tokenizer == str(tmp_path / "own.json")
    assert not any("data.cleaning" in note for note in resolved.notes)


def test_every_setting_is_explained_once_with_its_meaning(tmp_path: Path) -> None:
    rows = explain(resolve_recipe(_recipe(tmp_path, "training:\n  seed: 3\n"), environment={}))
    keys = [row.key for row in rows]
    assert keys == [key for key in FIELDS if key.partition(".")[0] not in {*ADAPTERS} - {"lora"}]
    assert all(row.meaning for row in rows)
    assert [row.source for row in rows if row.key == "training.seed"] == [f"{tmp_path / 'recipe.yaml'}:2"]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("lora:\n  r: 16\n  lora_alpha: 8\ndata:\n  train_files: a\n", {"lora.lora_alpha", "data.train_files"}),
        ("finetune_dataset: a\nlora_r: 4\n", {"data.train_files", "lora.r"}),
        (to_yaml(Recipe.model_validate({"training": {"seed": 7}})), {"training.seed"}),
    ],
)
def test_only_what_somebody_set_to_something_else_is_changed(text: str, changed: set[str], tmp_path: Path) -> None:
    rows = explain(resolve_recipe(_recipe(tmp_path, text), environment={}))
    assert {row.key for row in rows if row.changed} == changed


@pytest.mark.parametrize(
    ("text", "lines", "places"),
    [
        (
            "data:\n  train_files: a\n  max_lenght: 3\nlora:\n  r: 0\n  lora_alpha: x\ntraining:\n  seed: 1\n",
            4,
            (3, 5, 6),
        ),
        ("finetune_dataset: a\nlora_rr: 3\nepoch: 2\nlearning_rate: 9\n", 4, (2, 3, 4)),
        ("model_name: a\nlora_config:\n  rank: 3\ntraining_config:\n  epoch: 2\n", 3, (3, 5)),
    ],
)
def test_all_faults_of_a_recipe_are_told_at_once_in_every_dialect(
    text: str, lines: int, places: tuple[int, ...], tmp_path: Path
) -> None:
    path = _recipe(tmp_path, text)
    told = _refusal(path)
    assert len(told.splitlines()) == lines
    assert [place for place in places if f"  {path}:{place}" not in told] == []


def test_many_faults_are_counted_and_the_first_twenty_told(tmp_path: Path) -> None:
    told = _refusal(_recipe(tmp_path, "training:\n" + "".join(f"  own{number}: 1\n" for number in range(30))))
    assert told.startswith("the recipe has 30 faults:")
    assert told.endswith("and 10 more.")
    assert len(told.splitlines()) == 22


def test_a_file_that_is_far_from_the_name_is_listed_and_never_proposed(tmp_path: Path) -> None:
    _recipe(tmp_path, "", "prod.yaml")
    assert _refusal(tmp_path / "task.yaml").endswith("YAML files in that folder: prod.yaml.")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.json.gz"])
def test_data_in_place_of_a_recipe_are_told_with_the_recipe_they_need(name: str, tmp_path: Path) -> None:
    told = _refusal(_recipe(tmp_path, '{"prompt": "a", "completion": "b"}\n', name))
    assert "this is data, not a recipe" in told
    line = told.partition("give that: ")[2]
    assert resolve_recipe(_recipe(tmp_path, line), environment={}).recipe.data.train_files == (str(tmp_path / name),)


def test_a_recipe_without_data_says_how_to_name_them(tmp_path: Path) -> None:
    bare = resolve_recipe(_recipe(tmp_path, "lora:\n  r: 4\n"), environment={})
    nothing = resolve_recipe(None, environment={})
    for resolved, words in ((bare, "recipe.yaml: no training file is named"), (nothing, "no recipe is given")):
        with pytest.raises(RecipeError, match=f"{words}.*tunelab train recipe.yaml"):
            _ = resolved.anchored


@pytest.mark.parametrize(
    "setting",
    ["lora.layers_to_transform=[true]", "lora.rank_pattern={q_proj: true}", "lora.alpha_pattern={q_proj: true}"],
)
def test_true_is_no_number_inside_a_list_or_mapping_either(tmp_path: Path, setting: str) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("data: {train_files: train.jsonl}\n")
    with pytest.raises(RecipeError, match=setting.partition("=")[0]):
        resolve_recipe(recipe, overrides=[setting], environment={})


def test_all_faults_of_set_and_of_variables_are_reported_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        resolve_recipe(
            None,
            overrides=["training.lr=1", "nonsense", "lora.r=0", "lora.rnk=4"],
            environment={"LLM_TRAINING__SEDE": "1", "LLM_LORA__RANG": "2"},
        )
    message = str(caught.value)
    assert message.startswith("the recipe has 6 faults:")
    for part in ('"training.lr"', '"nonsense"', "lora.r is 0", '"lora.rnk"', '"training.sede"', '"lora.rang"'):
        assert part in message
