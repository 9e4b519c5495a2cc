"""Sub-room of the service: the jobs of a workspace over HTTP, for programs of this machine that know its token."""
