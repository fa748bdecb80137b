"""What `opa new` does: projects and plugins from templates, and projects brought to a newer template."""
