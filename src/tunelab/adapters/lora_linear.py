"""peft's LoRA layer with a shorter way through its plain case: one adapter, no dropout, no variant, one precision.

The same equations with fewer passes over the activations: the update is added into the output of the frozen layer, and
the scale is applied where the tensors are of the rank's width. Everything else is peft's own.

Letters in names: N tokens, I inputs, O outputs, R rank.
"""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch.nn import functional


class LoraLinear(Linear):  # type: ignore[misc]  # peft carries no types
    """A frozen linear layer with a low-rank update."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the layer's output with its update, just as peft computes it."""
        if args or kwargs or not self._is_plain(x):
            return super().forward(x, *args, **kwargs)  # type: ignore[no-any-return]
        (name,) = self.active_adapters
        base, scale = self.get_base_layer(), self.scaling[name]
        output_NO: torch.Tensor = _Updated.apply(  # type: ignore[no-untyped-call]
            x.flatten(0, -2), base.weight, base.bias, self.lora_A[name].weight, self.lora_B[name].weight, scale
        )
        return output_NO.view(*x.shape[:-1], output_NO.shape[-1])

    def _is_plain(self, x: torch.Tensor) -> bool:
        if self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return False
        (name,) = self.active_adapters
        if name not in self.lora_A or name in self.lora_variant or self.lora_B[name].bias is not None:
            return False
        if type(self.lora_A[name]) is not torch.nn.Linear:  # an update that starts from its layer's weight
            return False
        dropout, base = self.lora_dropout[name], self.get_base_layer()
        if self.training and not isinstance(dropout, torch.nn.Identity):
            return False
        is_frozen = not base.weight.requires_grad and (base.bias is None or not base.bias.requires_grad)
        one_dtype = x.dtype == base.weight.dtype == self.lora_A[name].weight.dtype
        return is_frozen and one_dtype and not torch.is_autocast_enabled(x.device.type)


class _Updated(torch.autograd.Function):
    """x W' + b + scale (x A') B', and the gradients for x, A and B; W and b are frozen."""

    @staticmethod
    def forward(
        ctx: Any,
        x_NI: torch.Tensor,
        weight_OI: torch.Tensor,
        bias_O: torch.Tensor | None,
        a_RI: torch.Tensor,
        b_OR: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        inner_NR = x_NI @ a_RI.T
        output_NO = functional.linear(x_NI, weight_OI, bias_O).addmm_(inner_NR, b_OR.T, alpha=scale)
        ctx.save_for_backward(x_NI, weight_OI, a_RI, b_OR, inner_NR)
        ctx.scale = scale
        return output_NO

    @staticmethod
    def backward(ctx: Any, grad_NO: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_NI, weight_OI, a_RI, b_OR, inner_NR = ctx.saved_tensors
        grad_inner_NR = (grad_NO @ b_OR).mul_(ctx.scale)
        grad_a_RI = grad_inner_NR.T @ x_NI
        grad_b_OR = (inner_NR.T @ grad_NO).mul_(ctx.scale).T
        grad_x_NI = (grad_NO @ weight_OI).addmm_(grad_inner_NR, a_RI) if ctx.needs_input_grad[0] else None
        return grad_x_NI, None, None, grad_a_RI, grad_b_OR, None
