"""The licence texts that the recipes install."""

import os
from pathlib import Path

from scripts.core import process
from scripts.core.paths import ROOT

COMPILE = ROOT / "docker" / "recipes" / "compile"
DOC = Path("runtime") / "usr" / "local" / "share" / "doc"
GO = """\
#!/bin/sh
case "$*" in
    'list -deps'*) printf '%s\\n' '' 'x.org/b HERE/b' 'x.org/a/v2 HERE/a' 'x.org/b HERE/b' ;;
    'env GOROOT') echo HERE/usr/lib/go-1.24 ;;
esac
"""


def files(directory: Path) -> set[str]:
    """Return the paths of the files in a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def write(directory: Path, *paths: str) -> None:
    """Write files that only their owner can read, as some archives have them."""
    for path in paths:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text("text")
        (directory / path).chmod(0o400)


def test_texts_of_a_component_are_installed(tmp_path: Path) -> None:
    """The texts that exist are installed, readable by everyone; a pattern without files is none."""
    write(tmp_path, "src/LICENSE.md", "src/COPYING.GPLv3", "src/main.c")
    text = (COMPILE / "compile.sh").read_text()
    function = text[text.index("install_licence() {") : text.index("# Move the files that only")]
    call = "install_licence ffmpeg src/LICENSE* src/COPYING* src/NOTICE*"
    done = process.run("sh", "-euc", f"out=.\n{function}\n{call}", cwd=tmp_path)
    assert not done.returncode, done.stderr
    assert files(tmp_path / DOC) == {"ffmpeg/LICENSE.md", "ffmpeg/COPYING.GPLv3"}
    installed = (tmp_path / DOC / "ffmpeg" / "LICENSE.md").stat()
    assert installed.st_mode & 0o777 == 0o644


def test_texts_of_go_modules_are_installed(tmp_path: Path) -> None:
    """go.sh installs the texts of each module, also of code in it, and Debian's of Go."""
    write(tmp_path, "a/LICENSE", "a/a.go", "b/internal/c/COPYING", "b/testdata/LICENSE")
    write(tmp_path, "usr/share/doc/golang-1.24-go/copyright")
    (tmp_path / "go").write_text(GO.replace("HERE", str(tmp_path)))
    (tmp_path / "go").chmod(0o755)
    functions = (COMPILE / "go.sh").read_text().replace("/usr/share", f"{tmp_path}/usr/share")
    call = f"install_module_licences {tmp_path / DOC}/vmaf-server ./cmd/vmaf-server"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "TARGETARCH": "amd64"}
    done = process.run("sh", "-euc", f"{functions}\n{call}", cwd=tmp_path, env=environment)
    assert not done.returncode, done.stderr
    assert files(tmp_path / DOC / "vmaf-server") == {
        "x.org/a/v2/LICENSE",
        "x.org/b/internal/c/COPYING",
        "stdlib/copyright",
    }


def test_text_of_a_subproject_is_debians(tmp_path: Path) -> None:
    """subprojects.sh installs the copyright file of the package that a subproject is from."""
    write(tmp_path, "usr/include/volk.c", "usr/include/volk.h", "src/packagefiles/v/meson.build")
    write(tmp_path, "usr/share/doc/libvulkan-volk-dev/copyright")
    (tmp_path / "src" / "volk.wrap").write_text("directory = volk-1\npatch_directory = v\n")
    for name, script in {"dpkg-query": "echo 1.4", "jq": "echo '{}'"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    text = (COMPILE / "libvmaf" / "subprojects.sh").read_text()
    for path in ("/usr/include", "/usr/share/doc"):
        text = text.replace(path, f"{tmp_path}{path}")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    arguments = ("sh", "src", "manifest", str(DOC))
    done = process.run("sh", "-euc", text, *arguments, cwd=tmp_path, env=environment)
    assert not done.returncode, done.stderr
    assert files(tmp_path / DOC) == {"volk/copyright"}
    assert files(tmp_path / "manifest") == {"volk.json"}
