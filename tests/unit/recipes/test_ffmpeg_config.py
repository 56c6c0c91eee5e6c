"""How split-config.py reduces the files that FFmpeg's configure writes for each object."""

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from tests.support.patches import replace_once

SCRIPT = ROOT / "docker" / "recipes" / "compile" / "ffmpeg" / "split-config.py"

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
CPPFLAGS=-DPIC -DFOO_NEW=1 -DPIC
CFLAGS=-std=c17 -I{lib} -isystem {lib}/../lib -pthread -I{gcc} -D_Y -DFOO_OLD=0 -pthread -Wall
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
    "libx/long.c": (
        '#include "config.h"\n'
        "#define NAME(x, y, z) CONFIG_ ## x ## y ## z\nint n = NAME(C, U, DA);\n"
    ),
    "libx/library.c": '#include "config.h"\n#include <foo/foo.h>\n',
    "libx/flag.c": "#ifdef FOO_OLD\nint old = FOO_OLD;\n#endif\n",
    "libx/new.c": "#if FOO_NEW\nint new;\n#endif\n",
    "libx/scale.asm": "%if ARCH_X86\n%endif\n",
    "Makefile": "libx/far.o: CFLAGS += -I$(SRC_PATH)/compat/far\n",
    "libx/far.c": '#include "config.h"\n#include "far.h"\n',
    "compat/far/far.h": "int far = CONFIG_CUDA;\n",
}
LIBRARY = "#ifdef HAVE_MMX\nint found;\n#endif\n"


def _module(script: Path = SCRIPT) -> ModuleType:
    spec = importlib.util.spec_from_file_location("split_config", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Built:
    """A source tree, and the directory in which configure ran."""

    def __init__(self, directory: Path, **config: str) -> None:
        """Write both."""
        self.source, self.build = directory / "src", directory / "build"
        self.library, self.gcc = directory / "lib", directory / "gcc"
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

    def split(self, monkeypatch: pytest.MonkeyPatch, script: Path = SCRIPT) -> "Built":
        """Run the script's main function, with a gcc that searches one directory by itself."""
        module = _module(script)
        monkeypatch.chdir(self.build)
        monkeypatch.setattr(module, "gcc_directories", lambda _: [str(self.gcc)])
        module.main(str(self.source), "gcc")
        return self

    def flags(self, stem: str) -> list[str] | None:
        """Return an object's own flags; None if it gets the complete headers and all flags."""
        found = re.search(rf"^{stem}\.o: OBJECT_FLAGS = (.*)$", self.mak.read_text(), re.MULTILINE)
        return found[1].split() if found else None

    def copy(self, stem: str) -> str:
        """Return an object's copies of both headers."""
        flags = self.flags(stem)
        assert flags
        directory = self.build / flags[0].removeprefix("-iquote")
        return "".join(
            (directory / name).read_text() for name in ("config.h", "config_components.h")
        )


@pytest.fixture(name="built")
def _built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    return Built(tmp_path).split(monkeypatch)


def test_flags_are_canonical(built: Built) -> None:
    """split-config.py passes each flag once, without the directories that gcc has by itself."""
    lines = built.mak.read_text().splitlines()
    assert lines[:5] == [
        "CPPFLAGS=-DPIC",
        "CFLAGS=$(OBJECT_FLAGS) -std=c17 -pthread -D_Y -Wall",
        "CXXFLAGS=-std=c++11",
        "CC_DEPFLAGS=-MD -MF $(@:.o=.d) -MT $@",
        "EXTRALIBS=-lm -lm",
    ]
    assert lines[5] == f"OBJECT_FLAGS = -DFOO_NEW=1 -I{built.library} -DFOO_OLD=0"


def test_config_asm_keeps_the_mentioned_macros(built: Built) -> None:
    """The reduced config.asm has the macros that assembly mentions, and all other lines."""
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
        ("libx/pasted", {"CONFIG_H264_DECODER"}),
    ],
)
def test_object_gets_the_macros_that_its_source_reaches(
    built: Built, stem: str, macros: set[str]
) -> None:
    """An object's reduced headers have the macros that its source and includes mention."""
    found = {line.split()[1] for line in built.copy(stem).splitlines()}
    assert found == {*macros, "CC_IDENT"}


def test_object_gets_the_directories_of_its_includes(built: Built) -> None:
    """An object gets the directory of a library only if it includes a file of it."""
    assert (built.flags("libx/library") or [])[1:] == [f"-I{built.library}"]
    assert (built.flags("libx/plain") or [])[1:] == []


def test_object_gets_the_defines_that_it_mentions(built: Built) -> None:
    """An object gets a macro of a .pc file only if it mentions the macro."""
    assert (built.flags("libx/flag") or [])[1:] == ["-DFOO_OLD=0"]
    assert (built.flags("libx/new") or [])[1:] == ["-DFOO_NEW=1"]


def test_equal_copies_are_shared(built: Built) -> None:
    """Two objects with the same macros share one copy of the reduced headers."""
    assert built.flags("libx/plain") == built.flags("libx/same")


@pytest.mark.parametrize("stem", ["computed", "long"])
def test_source_that_may_mention_anything_gets_everything(built: Built, stem: str) -> None:
    """A source that includes a macro's value, or puts long names together, gets everything."""
    assert built.flags(f"libx/{stem}") is None


def test_feature_changes_only_the_objects_that_mention_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A feature of FFmpeg changes the reduced headers of the objects that mention it only.

    The flags are the same for all objects, as a copy's path is in the preprocessed text.
    """
    one = Built(tmp_path / "one").split(monkeypatch)
    changed = CONFIG.replace("CUDA 0", "CUDA 1").replace("enable-x", "enable-y")
    other = Built(tmp_path / "other", **{"config.h": changed}).split(monkeypatch)
    stems = [name[:-2] for name in TREE if name.endswith(".c") and "library" not in name]
    stems = [stem for stem in stems if one.flags(stem)]
    assert [one.flags(stem) for stem in stems] == [other.flags(stem) for stem in stems]
    changed_objects = {stem for stem in stems if one.copy(stem) != other.copy(stem)}
    assert changed_objects == {"libx/deep", "libx/far"}


def broken(built: Built) -> set[str]:
    """Return the sources whose preprocessed text is not the same with the reduced headers."""
    directories = [f"-I{built.build}", f"-I{built.source}", f"-I{built.source}/compat/far"]
    found = set()
    for name in TREE:
        flags = built.flags(name[:-2])
        if name.endswith(".c") and flags:
            made = {
                process.run(
                    "gcc", "-E", "-P", *given, *directories, str(built.source / name)
                ).stdout
                for given in ([f"-I{built.library}", "-DFOO_OLD=0", "-DFOO_NEW=1"], flags)
            }
            found |= {name} if len(made) > 1 else set()
    return found


needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="needs gcc")


@needs_gcc
def test_preprocessed_text_is_the_same(built: Built) -> None:
    """The reduced headers give the same preprocessed text as FFmpeg's complete ones."""
    assert broken(built) == set()
    assert _module().gcc_directories("gcc")


# Faults to plant in the script, and the source that each of them breaks.
MUTANTS = {
    "names passed to a macro": (r"|(?<=_)\s*[,)\n]", "", "libx/passed.c"),
    "put-together names": (
        "for beginning in mentions.beginnings:",
        "for beginning in ():",
        "libx/pasted.c",
    ),
    "words of names": ("is_composed(text, words)", "text in words", "libx/pasted.c"),
    "many words": ("> _PIECES", "> 9", "libx/long.c"),
    "joined names": (
        "name for name, is_beginning in mentions if is_beginning",
        "n for n, _ in mentions if n[-1] == '_'",
        "libx/joined.c",
    ),
    "includes": ("reached[includer] |= reached[path]", "pass", "libx/deep.c"),
    "libraries": ("*directories, *searched]", "*searched]", "libx/library.c"),
    "makefiles": ("*makefile_directories(source), ", "", "libx/far.c"),
    "directories": (
        "for name, flag in flags.items() if name in reached[path]]",
        "for name, flag in flags.items() if False]",
        "libx/library.c",
    ),
    "defines": ("*macros))", "))", "libx/flag.c"),
}


@needs_gcc
@pytest.mark.parametrize("fault", MUTANTS)
def test_planted_fault_changes_the_preprocessed_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A split-config.py with a planted fault changes the preprocessed text of a source."""
    before, after, broken_source = MUTANTS[fault]
    script = tmp_path / "mutant.py"
    script.write_text(replace_once(SCRIPT.read_text(), before, after))
    assert broken_source in broken(Built(tmp_path).split(monkeypatch, script))


def test_finder_yields_every_mention() -> None:
    """The finder yields all mentions of a macro, and whether a name is only its beginning."""
    text = b"HAVE_MMX AV_HAVE_SSE HAVE_ ## x CONFIG_GPL FOO_OLD BAR_OLD ARCH_, y"
    assert set(_module().MacroFinder(["FOO_OLD"]).find(text)) == {
        ("HAVE_MMX", False),
        ("HAVE_SSE", False),
        ("HAVE_", True),
        ("CONFIG_GPL", False),
        ("FOO_OLD", False),
        ("ARCH_", True),
    }
