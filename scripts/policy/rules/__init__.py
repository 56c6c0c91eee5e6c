"""The rules of the policy."""

from collections.abc import Mapping

from scripts.policy.rule import Rule
from scripts.policy.rules import apt, arguments, compilers, files, images, modules, mounts, rust

RULES: Mapping[str, Rule] = {
    rule.id: rule
    for rule in (
        apt.apt_mounts,
        apt.apt_locked,
        apt.apt_id,
        apt.apt_keeps_packages,
        apt.apt_no_cleanup,
        arguments.arg_used,
        arguments.arg_late,
        arguments.arg_no_time,
        arguments.user_numeric,
        compilers.compile_mount,
        compilers.ccache_memory,
        compilers.remote_cache,
        compilers.compile_launcher,
        compilers.ffmpeg_launchers,
        compilers.cmake_launchers,
        compilers.ccache_shared,
        compilers.env_prefix,
        compilers.no_sccache,
        files.syntax_line,
        files.listed,
        files.stage_comment,
        files.keeps_caches,
        files.exemption_used,
        images.image_pinned,
        images.image_alias_once,
        images.copy_from_alias,
        images.add_checksum,
        modules.go_mounts,
        modules.go_modules_first,
        modules.pip_mount,
        mounts.mount_id,
        mounts.mount_agrees,
        mounts.mount_owner,
        mounts.context_narrow,
        rust.cargo_mounts,
        rust.cargo_sccache,
        rust.cargo_locked,
        rust.cargo_c_launcher,
        rust.cargo_target,
    )
}
"""Every rule by its id."""
