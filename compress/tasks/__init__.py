"""What is learnt and how it is scored."""

from compress.tasks.task import SPLITS, Split, Task, split_task

__all__ = ["SPLITS", "Split", "Task", "split_task"]
