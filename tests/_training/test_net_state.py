"""A net in training as plain values, and back."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from skae._training.net_state import NotPlainError, read_net, write_net

OURS = {"hidden_layer_sizes": (4,), "max_epochs": 2, "init": "random", "random_state": 0}


class Holder(Callback):
    """A callback with all kinds of attributes."""

    def initialize(self):
        self.number_, self.text_, self.flag_, self.none_ = 1.5, "one", True, None
        self.scalar_, self.whole_ = np.float64(2.5), np.int32(3)
        self.array_, self.tensor_ = np.arange(3), torch.arange(3.0)
        self.nested_ = {"a": [1, (2, np.ones(2))], 3: torch.ones(2), "left out": object()}
        self.object_, self.function_ = object(), print
        self.setting = "of the user's"
        return self

    def on_train_begin(self, net, **kwargs):
        self.weights_ = list(net.module_.parameters())
        self.module_ = net.module_


def fit(**parameters):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    return AutoencoderTransformer(2, **OURS, **parameters).fit(rows).net_


def test_fitted_attributes_of_callbacks_are_read_as_far_as_they_are_values():
    holder = Holder()
    net = fit(callbacks=[holder])
    holder.view_ = next(net.module_.parameters()).detach()[:1]  # is the module's, too
    state = read_net(net, is_finished=False)["callbacks"]["Holder"]
    assert set(state) == {
        "number_",
        "text_",
        "flag_",
        "none_",
        "scalar_",
        "whole_",
        "array_",
        "tensor_",
        "nested_",
    }


def test_they_are_set_as_they_were():
    net = fit(callbacks=[Holder()])
    state = read_net(net, is_finished=False)
    holder = dict(net.callbacks_)["Holder"]
    before, weights = dict(vars(holder)), holder.weights_
    for name in state["callbacks"]["Holder"]:
        delattr(holder, name)
    write_net(net, state)
    for name in state["callbacks"]["Holder"]:
        assert type(getattr(holder, name)) is type(before[name])
    assert holder.scalar_ == 2.5
    np.testing.assert_array_equal(holder.array_, np.arange(3))
    assert set(holder.nested_) == {"a", 3}
    assert isinstance(holder.nested_["a"][1], tuple)
    assert holder.weights_ is weights  # which are the module's


def test_what_is_read_does_not_change_with_the_net():
    net = fit()
    state = read_net(net, is_finished=False)
    name, value = next(iter(state["module"].items()))
    before = value.clone()
    with torch.no_grad():
        dict(net.module_.named_parameters())[name].add_(1)
    assert torch.equal(value, before)
    assert value.untyped_storage().nbytes() == 4 * value.numel()  # and no more is stored
    write_net(net, state)
    assert torch.equal(dict(net.module_.named_parameters())[name], before)


def test_an_optimizer_with_other_parts_cannot_be_read():
    class Odd(torch.optim.SGD):
        def state_dict(self):
            return {**super().state_dict(), "odd": object()}

    with pytest.raises(NotPlainError):
        read_net(fit(optimizer=Odd), is_finished=False)
