"""scikit-learn's callbacks, from its version 1.9 on; before, there are none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._training import FitTasks

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: there are no callbacks."""


__all__ = ["CallbackSupportMixin", "begin_tasks", "find_tasks", "pass_tasks_on"]


@contextmanager
def begin_tasks(estimator: Any, X: Any, y: Any, max_subtasks: int | None = None) -> Iterator[None]:
    """Tell the callbacks of an estimator, if it has any, that a fit begins and ends.

    scikit-learn's decorator of `fit` then lets go of them.
    """
    if not getattr(estimator, "_skl_callbacks", None):
        yield
        return
    context = estimator._init_callback_context(max_subtasks=max_subtasks)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    yield
    # A copy of the estimator as it is can be used.
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes={})


def find_tasks(estimator: Any) -> FitTasks | None:
    """Return the task of the fit that has begun, None without callbacks."""
    context = getattr(estimator, "_callback_fit_ctx", None)
    return None if context is None else FitTasks(estimator, context)


@contextmanager
def pass_tasks_on(estimator: Any, inner: Any) -> Iterator[None]:
    """Make the fit of an inner estimator a part of that of the outer one."""
    tasks = find_tasks(estimator)
    if tasks is None:
        yield
        return
    subtask = tasks.context.subcontext(task_name="fit-estimator")
    with subtask.propagate_callback_context(inner):
        subtask.call_on_fit_task_begin(estimator=estimator)
        yield
        subtask.call_on_fit_task_end(estimator=estimator)
