"""Data in and out: files in (`load`), files out (`unload`), a whole database into another (`copy`). SPEC §6."""
