"""What stages made, kept by content: the same work is never done twice, and nothing half-written has a final name.

    store/
      entries/KEY/       the files of a finished stage, and manifest.json: their checksums and what they were made from
      work/KEY/          a stage at work; its checkpoint/ outlives a kill, so that the next attempt goes on from there
      quarantine/KEY-N/  entries that were no longer what their manifest says
      locks/KEY.lock     held while a stage is made, so that two runs do not make it twice

- `keys` says what a result depends on, `entries` keeps it, `files` writes and locks files safely.
"""

from compress.store.entries import CHECKPOINT, StageResult, Store
from compress.store.files import file_sha256, folder_lock, write_atomic
from compress.store.keys import canonical_json, code_version, stage_key

__all__ = [
    "CHECKPOINT",
    "StageResult",
    "Store",
    "canonical_json",
    "code_version",
    "file_sha256",
    "folder_lock",
    "stage_key",
    "write_atomic",
]
