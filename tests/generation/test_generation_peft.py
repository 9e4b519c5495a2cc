import numpy as np
import pytest
import torch
from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model
from transformers import LlamaForCausalLM

from tunelab.generation.completion import Sampling
from tunelab.generation.generate import generate

STOP = 2


@pytest.mark.filterwarnings("ignore:Position ids are not supported")
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers' old name
def test_pain_27_a_soft_prompt_answers_as_stock_peft_does(network, prompts, with_virtual_tokens):
    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM, num_virtual_tokens=6, prompt_tuning_init=PromptTuningInit.RANDOM
    )
    base = LlamaForCausalLM(network.config).eval()
    base.load_state_dict(network.state_dict())
    tuned = get_peft_model(base, config)
    with torch.no_grad():
        vectors = torch.randn(6, 32, generator=torch.Generator().manual_seed(9))
        tuned.prompt_encoder["default"].embedding.weight.copy_(vectors)

    def stock(prompt: np.ndarray) -> list[int]:
        ids = torch.tensor(prompt, dtype=torch.long)[None]
        out = tuned.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20, eos_token_id=STOP
        )
        answer = out[0, ids.shape[1] :].tolist()
        return answer[: answer.index(STOP)] if STOP in answer else answer

    expected = [stock(prompt) for prompt in prompts]
    sampling = Sampling(max_new_tokens=20)
    answers = generate(network, with_virtual_tokens(vectors), prompts, sampling=sampling, stop_ids=[STOP], batch_size=3)
    assert [list(answer.token_ids) for answer in answers] == expected
    base_answers = generate(network, None, prompts, sampling=sampling, stop_ids=[STOP])
    assert [answer.token_ids for answer in base_answers] != [answer.token_ids for answer in answers]
