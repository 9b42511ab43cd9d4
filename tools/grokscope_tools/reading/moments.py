"""When was it? The moments of training that groups are named after.

theta_E is the state before the first step of epoch E, in the group `epoch_E`; a state within an epoch is in
`epoch_E_step_S`, after S optimizer steps. The step tells all moments of a run apart, the epoch does not. It must
know nothing of files.
"""
import re
from typing import NamedTuple

NAME = re.compile(r"epoch_(\d+)(?:_step_(\d+))?")


class Moment(NamedTuple):
    """A state of the parameters: after `step` optimizer steps, in epoch `epoch`."""

    epoch: int
    step: int

    def label(self):
        """As a figure calls it; the step is said where it is not the epoch."""
        return f"epoch {self.epoch:,}" + ("" if self.step == self.epoch else f", step {self.step:,}")


def group_name(epoch, step=None):
    """The name of the group of a state within an epoch, or without a step, before its first."""
    return f"epoch_{epoch}" if step is None else f"epoch_{epoch}_step_{step}"


def named_moments(names, step_of_start):
    """{Moment: name} of those `names` that name one, in the order of training; step_of_start(epoch) is the step at
    which an epoch begins."""
    found = {}
    for name in names:
        match = NAME.fullmatch(name)
        if match:
            epoch, step = int(match[1]), match[2]
            found[Moment(epoch, step_of_start(epoch) if step is None else int(step))] = name
    return dict(sorted(found.items(), key=lambda item: (item[0].step, item[0].epoch)))
