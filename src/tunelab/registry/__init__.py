"""Room of the registry: what a run was made of and what came of it. Knows no tensor."""

from tunelab.registry.manifest import Manifest, read_manifest, write_manifest

__all__ = ["Manifest", "read_manifest", "write_manifest"]
