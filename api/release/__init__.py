"""`make dist`: the files of a release. CONTRIBUTING.md says how a release is made."""
