"""All checks of a deployment, in the order in which they are told. `docs/deployment.md` has a row for each."""

from __future__ import annotations

from opa.checks.deploy.access import open_routes
from opa.checks.deploy.check import DeployCheck, Level
from opa.checks.deploy.components import component_passwords
from opa.checks.deploy.cors import cookies_without_tls, open_cors
from opa.checks.deploy.development import debug, debugger, env_of_development, env_without_section, reload
from opa.checks.deploy.exposure import (
    admin_for_everyone,
    console_for_everyone,
    open_metrics,
    public_documentation,
    ready_details,
)
from opa.checks.deploy.flower import flower_password
from opa.checks.deploy.hosts import any_host
from opa.checks.deploy.migrations import pending_migrations
from opa.checks.deploy.packages import unpinned_packages
from opa.checks.deploy.proxy import unknown_proxy
from opa.checks.deploy.rights import runs_as_root, writable_code, writable_root
from opa.checks.deploy.secret_files import open_secret_files
from opa.checks.deploy.secret_key import weak_secret_key
from opa.checks.deploy.secrets_of_others import (
    jwt_without_tls,
    weak_jwt_secrets,
    weak_user_passwords,
    weak_webhook_secrets,
)
from opa.checks.deploy.sign_in import sign_in_for_everyone, sign_in_without_tls
from opa.checks.deploy.static_files import static_files_that_nobody_serves
from opa.checks.deploy.tasks import dead_letters, unsafe_formats
from opa.checks.deploy.tls import unverified_servers
from opa.checks.deploy.turned_off import missing_headers, missing_limits
from opa.checks.deploy.webhooks_out import webhooks_without_tls

CHECKS = (
    DeployCheck("deploy.env-dev", Level.ERROR, env_of_development),
    DeployCheck("deploy.env-unknown", Level.WARNING, env_without_section),
    DeployCheck("deploy.debug", Level.ERROR, debug),
    DeployCheck("deploy.debugger", Level.ERROR, debugger),
    DeployCheck("deploy.reload", Level.WARNING, reload),
    DeployCheck("deploy.secret-key", Level.WARNING, weak_secret_key),
    DeployCheck("deploy.secret-file", Level.WARNING, open_secret_files),
    DeployCheck("deploy.component-password", Level.ERROR, component_passwords),
    DeployCheck("deploy.component-tls", Level.WARNING, unverified_servers),
    DeployCheck("deploy.flower-password", Level.ERROR, flower_password),
    DeployCheck("deploy.cors-open", Level.WARNING, open_cors),
    DeployCheck("deploy.cors-http", Level.WARNING, cookies_without_tls),
    DeployCheck("deploy.open-routes", Level.WARNING, open_routes),
    DeployCheck("deploy.jwt-secret", Level.ERROR, weak_jwt_secrets),
    DeployCheck("deploy.jwt-http", Level.ERROR, jwt_without_tls),
    DeployCheck("deploy.webhook-secret", Level.WARNING, weak_webhook_secrets),
    DeployCheck("deploy.webhook-http", Level.WARNING, webhooks_without_tls),
    DeployCheck("deploy.user-password", Level.ERROR, weak_user_passwords),
    DeployCheck("deploy.sign-in-http", Level.ERROR, sign_in_without_tls),
    DeployCheck("deploy.sign-in-everyone", Level.WARNING, sign_in_for_everyone),
    DeployCheck("deploy.docs-public", Level.WARNING, public_documentation),
    DeployCheck("deploy.ready-details", Level.WARNING, ready_details),
    DeployCheck("deploy.metrics-open", Level.WARNING, open_metrics),
    DeployCheck("deploy.console-everyone", Level.ERROR, console_for_everyone),
    DeployCheck("deploy.admin-everyone", Level.ERROR, admin_for_everyone),
    DeployCheck("deploy.trusted-hosts", Level.WARNING, any_host),
    DeployCheck("deploy.proxy", Level.WARNING, unknown_proxy),
    DeployCheck("deploy.limits", Level.WARNING, missing_limits),
    DeployCheck("deploy.headers", Level.WARNING, missing_headers),
    DeployCheck("deploy.root", Level.ERROR, runs_as_root),
    DeployCheck("deploy.root-writable", Level.WARNING, writable_root),
    DeployCheck("deploy.code-writable", Level.WARNING, writable_code),
    DeployCheck("deploy.packages-unpinned", Level.WARNING, unpinned_packages),
    DeployCheck("deploy.migrations", Level.WARNING, pending_migrations),
    DeployCheck("deploy.static", Level.WARNING, static_files_that_nobody_serves),
    DeployCheck("deploy.pickle", Level.ERROR, unsafe_formats),
    DeployCheck("deploy.dead-letters", Level.WARNING, dead_letters),
)
