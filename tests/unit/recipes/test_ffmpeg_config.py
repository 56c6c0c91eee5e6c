"""What the recipe of FFmpeg makes of the files that configure writes."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scripts.core.paths import ROOT

SCRIPT = ROOT / "docker" / "recipes" / "ffmpeg-config.py"

CONFIG = """\
#define FFMPEG_CONFIGURATION "--enable-x"
#define CC_IDENT "gcc"
#define ARCH_X86 1
#define HAVE_MMX 1
#define HAVE_MMX_INLINE 1
#define CONFIG_CUDA 0
#define CONFIG_GPL 1
"""
COMPONENTS = "#define CONFIG_H264_DECODER 1\n#define CONFIG_HEVC_DECODER 1\n"
MAK = """\
CPPFLAGS=-DX -DX
CFLAGS=-std=c17 -I{lib} -I{lib}/../lib -pthread -I{gcc} -D_Y -DFOO_OLD=0 -pthread -Wall
CXXFLAGS=-std=c++11 -I{lib}
CC_DEPFLAGS=-MMD -MF $(@:.o=.d) -MT $@
EXTRALIBS=-lm -lm
"""
TREE = {
    "libx/plain.c": '#include "config.h"\nint x = CONFIG_GPL;\n',
    "libx/same.c": '#include "config.h"\n#if CONFIG_GPL\n#endif\n',
    "libx/deep.c": '#include "libx/one.h"\n',
    "libx/one.h": '#include "two.h"\n',
    "libx/two.h": '#include "config.h"\n#ifdef CONFIG_CUDA\nint two = CONFIG_CUDA;\n#endif\n',
    "libx/passed.c": (
        '#include "config.h"\n#define JOIN_(x, y) x##y\n#define JOIN(x, y) JOIN_(x, y)\n'
        "int a = JOIN(ARCH_, X86);\n"
    ),
    "libx/pasted.c": (
        '#include "config_components.h"\n'
        "#define DECODER(x) CONFIG_ ## x ## _DECODER\nint y = DECODER(H264);\n"
    ),
    "libx/joined.c": '#include "config.h"\n#define MMX(x) HAVE_MMX##x\nint z = MMX(_INLINE);\n',
    "libx/computed.c": "# include HEADER\n",
    "libx/library.c": '#include "config.h"\n#include <foo/foo.h>\n',
    "libx/flag.c": "#ifdef FOO_OLD\nint old = FOO_OLD;\n#endif\n",
    "libx/scale.asm": "%if ARCH_X86\n%endif\n",
    "Makefile": "libx/far.o: CFLAGS += -I$(SRC_PATH)/compat/far\n",
    "libx/far.c": '#include "config.h"\n#include "far.h"\n',
    "compat/far/far.h": "int far = CONFIG_CUDA;\n",
}
LIBRARY = "#ifdef HAVE_MMX\nint found;\n#endif\n"


def _module(script: Path = SCRIPT) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ffmpeg_config", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Built:
    """A tree that configure ran beside, divided."""

    def __init__(self, folder: Path, **config: str) -> None:
        """Write the tree, run the script in the folder."""
        self.source, self.build = folder / "src", folder / "build"
        self.library, self.gcc = folder / "lib", folder / "gcc"
        for name, text in TREE.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.library / "foo").mkdir(parents=True)
        (self.library / "foo" / "foo.h").write_text(LIBRARY)
        self.gcc.mkdir()
        (self.build / "ffbuild").mkdir(parents=True)
        files = {"config.h": CONFIG, "config_components.h": COMPONENTS, **config}
        for name, text in files.items():
            (self.build / name).write_text(text)
        (self.build / "config.asm").write_text(
            "%define ARCH_X86 1\n%define CONFIG_CUDA 0\n%endif\n"
        )
        self.mak = self.build / "ffbuild" / "config.mak"
        self.mak.write_text(MAK.format(lib=self.library, gcc=self.gcc))

    def divide(self, monkeypatch: pytest.MonkeyPatch, script: Path = SCRIPT) -> "Built":
        """Run the script's main function, with a gcc that has one folder of its own."""
        module = _module(script)
        monkeypatch.chdir(self.build)
        monkeypatch.setattr(module, "gccs", lambda: [str(self.gcc)])
        module.main(str(self.source))
        return self

    def words(self, stem: str) -> list[str] | None:
        """Return what an object gets, None where it gets everything."""
        found = re.search(rf"^{stem}\.o: GIVEN = (.*)$", self.mak.read_text(), re.MULTILINE)
        return found[1].split() if found else None

    def copy(self, stem: str) -> str:
        """Return an object's copies of both headers."""
        words = self.words(stem)
        assert words
        folder = self.build / words[0].removeprefix("-iquote")
        return "".join((folder / name).read_text() for name in ("config.h", "config_components.h"))


@pytest.fixture(name="built")
def _built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    return Built(tmp_path).divide(monkeypatch)


def test_flags_are_canonical(built: Built) -> None:
    """Each flag once, gcc's own folders dropped, the libraries' given by object."""
    lines = built.mak.read_text().splitlines()
    assert lines[:5] == [
        "CPPFLAGS=-DX",
        "CFLAGS=$(GIVEN) -std=c17 -pthread -D_Y -Wall",
        "CXXFLAGS=-std=c++11",
        "CC_DEPFLAGS=-MD -MF $(@:.o=.d) -MT $@",
        "EXTRALIBS=-lm -lm",
    ]
    assert lines[5] == f"GIVEN = -I{built.library} -DFOO_OLD=0"


def test_assembly_keeps_what_it_names(built: Built) -> None:
    """And directives that define nothing."""
    assert (built.build / "config.asm").read_text() == "%define ARCH_X86 1\n%endif\n"


@pytest.mark.parametrize(
    ("stem", "macros"),
    [
        ("libx/plain", {"CONFIG_GPL"}),
        ("libx/deep", {"CONFIG_CUDA"}),
        ("libx/far", {"CONFIG_CUDA"}),
        ("libx/library", {"HAVE_MMX"}),
        ("libx/joined", {"HAVE_MMX", "HAVE_MMX_INLINE"}),
        ("libx/passed", {"ARCH_X86"}),
        (
            "libx/pasted",
            {"CONFIG_CUDA", "CONFIG_GPL", "CONFIG_H264_DECODER", "CONFIG_HEVC_DECODER"},
        ),
    ],
)
def test_source_gets_the_macros_that_it_reaches(built: Built, stem: str, macros: set[str]) -> None:
    """Its own, its includes' at any depth and of libraries, those it puts together."""
    found = {line.split()[1] for line in built.copy(stem).splitlines()}
    assert found == {*macros, "CC_IDENT"}


def test_source_gets_the_folders_that_it_looks_into(built: Built) -> None:
    """A library's folder is in the words of those that include something of it."""
    assert (built.words("libx/library") or [])[1:] == [f"-I{built.library}"]
    assert (built.words("libx/plain") or [])[1:] == []


def test_source_gets_the_flags_that_it_names(built: Built) -> None:
    """A macro of a library's, which its .pc file defines for all."""
    assert (built.words("libx/flag") or [])[1:] == ["-DFOO_OLD=0"]


def test_equal_copies_are_shared(built: Built) -> None:
    """So that the compiler cache has one header of them to look at."""
    assert built.words("libx/plain") == built.words("libx/same")


def test_source_that_cannot_be_known_gets_everything(built: Built) -> None:
    """An include by a macro's name may be anything."""
    assert built.words("libx/computed") is None


def test_feature_parts_those_alone_that_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another variant's objects have equal copies, but for those that can see the difference.

    The words are the same for all: a copy's place is in what the preprocessor makes.
    """
    one = Built(tmp_path / "one").divide(monkeypatch)
    changed = CONFIG.replace("CUDA 0", "CUDA 1").replace("enable-x", "enable-y")
    other = Built(tmp_path / "other", **{"config.h": changed}).divide(monkeypatch)
    stems = [name[:-2] for name in TREE if name.endswith(".c") and "library" not in name]
    stems = [stem for stem in stems if one.words(stem)]
    assert [one.words(stem) for stem in stems] == [other.words(stem) for stem in stems]
    parted = {stem for stem in stems if one.copy(stem) != other.copy(stem)}
    assert parted == {"libx/deep", "libx/far", "libx/pasted"}


def unlike(built: Built) -> set[str]:
    """Return the sources that gcc makes something else of with the copies."""
    folders = [f"-I{built.build}", f"-I{built.source}", f"-I{built.source}/compat/far"]
    found = set()
    for name in TREE:
        words = built.words(name[:-2])
        if name.endswith(".c") and words:
            made = {
                subprocess.run(
                    ["gcc", "-E", "-P", *given, *folders, str(built.source / name)],
                    capture_output=True,
                    check=False,
                ).stdout
                for given in ([f"-I{built.library}", "-DFOO_OLD=0"], words)
            }
            found |= {name} if len(made) > 1 else set()
    return found


needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


@needs_gcc
def test_gcc_reads_the_same(built: Built) -> None:
    """What the preprocessor makes of a source is the same with the copies as with the whole."""
    assert unlike(built) == set()
    assert _module().gccs()


# Faults, and the source that shows each.
MUTANTS = {
    "passed": (r"|(?<=_)\s*[,)\n]", "", "libx/passed.c"),
    "put together": ("for word in said.beginnings:", "for word in ():", "libx/pasted.c"),
    "joined": (
        "name for name, begins in found if begins",
        "n for n, _ in found if n[-1] == '_'",
        "libx/joined.c",
    ),
    "includes": ("bits[one] |= bits[path]", "pass", "libx/deep.c"),
    "libraries": ("*folders, *own]", "*own]", "libx/library.c"),
    "makefiles": ("*makefiles(source), ", "", "libx/far.c"),
    "folders": (
        "mask & bit[name]]\n            words",
        "False]\n            words",
        "libx/library.c",
    ),
    "flags": ("*macros))", "))", "libx/flag.c"),
}


@needs_gcc
@pytest.mark.parametrize("fault", MUTANTS)
def test_a_faulty_division_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Each planted fault makes the property above fail."""
    before, after, shown = MUTANTS[fault]
    text = SCRIPT.read_text()
    assert text.count(before) == 1
    script = tmp_path / "mutant.py"
    script.write_text(text.replace(before, after))
    assert shown in unlike(Built(tmp_path).divide(monkeypatch, script))


def test_every_macro_that_a_text_names_is_found() -> None:
    """The later ones of a family too, and whether their names go on elsewhere."""
    text = b"HAVE_MMX AV_HAVE_SSE HAVE_ ## x CONFIG_GPL FOO_OLD BAR_OLD ARCH_, y"
    assert set(_module().Naming(["FOO_OLD"]).found(text)) == {
        ("HAVE_MMX", False),
        ("HAVE_SSE", False),
        ("HAVE_", True),
        ("CONFIG_GPL", False),
        ("FOO_OLD", False),
        ("ARCH_", True),
    }
