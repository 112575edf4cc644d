"""``modelport bundle``: what lies in a bundle, more or less of it, its signature, its test."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.cli import bundle_join, console
from modelport.errors import UsageError

if TYPE_CHECKING:
    from modelport.bundle import EngineTest

_PARTS = ("cases", "report", "sources")


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command group."""
    group = commands.add_parser("bundle", help="look into a bundle, change, sign and test it")
    inner = group.add_subparsers(dest="bundle_command", required=True, metavar="COMMAND")
    _command(inner, "ls", _ls, "the files of a bundle")
    _command(inner, "info", _info, "what a bundle is, where it comes from, and whom it is from")

    bundle_join.add(inner)

    more = _command(inner, "add", _add, "build engines or libraries of operators into a bundle")
    console.add_targets(more, "what to build")
    more.add_argument(
        "--operators", action="store_true", help="build the operators' libraries for this platform"
    )
    more.add_argument("--cuda", action="store_true", help="with their CUDA kernels")
    _add_output(more)
    console.add_trust(more, key=False)

    less = _command(inner, "strip", _strip, "remove files from a bundle")
    console.add_targets(less, "what to take out")
    less.add_argument("--platform", action="append", default=[], help="platform's libraries")
    for part in _PARTS:
        less.add_argument(f"--{part}", action="store_true", help=f"take the {part} out")
    _add_output(less)

    signing = _command(inner, "sign", _sign, "sign a bundle")
    signing.add_argument("--key", type=Path, required=True, help="PEM file of the private key")

    making = inner.add_parser("keygen", help="make a pair of keys to sign with")
    making.add_argument("private", type=Path, metavar="NAME.pem", help="the private key to write")
    console.add_json(making)
    making.set_defaults(run=_keygen)

    checking = _command(inner, "verify", _verify, "check every checksum, and the signature")
    checking.add_argument(
        "--key", type=Path, help="PEM file of the public key it must be signed by"
    )

    trusting = _command(inner, "trust", _trust, "load the code of a bundle from now on")
    trusting.add_argument(
        "--key", type=Path, help="PEM file of the public key it must be signed by"
    )

    testing = _command(inner, "selftest", _selftest, "run a bundle's engines on its own cases here")
    console.add_trust(testing)

    image = _command(inner, "dockerfile", _dockerfile, "write what docker build makes an image of")
    image.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    image.add_argument("--wheel", type=Path, help="wheel of modelport to install")
    image.add_argument("--key", type=Path, help="PEM file of the public key it is signed by")


def _command(
    inner: console.Subparsers[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = inner.add_parser(name, help=text, description=text)
    parser.add_argument("bundle", type=Path, help="the bundle (directory or zip)")
    console.add_json(parser)
    parser.set_defaults(run=run)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, help="bundle to write; in its place by default"
    )


def _ls(arguments: argparse.Namespace) -> int:
    from modelport.bundle import Bundle
    from modelport.bundle.listing import list_entries

    with Bundle.open(arguments.bundle) as opened:
        entries = list(list_entries(opened))
    total = sum(entry.size for entry in entries)
    if arguments.json:
        console.print_json(
            {"bytes": total, "files": [dataclasses.asdict(entry) for entry in entries]}
        )
        return 0
    rows = [
        [
            entry.path,
            entry.role,
            f"{entry.size:,}",
            entry.sha256[:12],
            " ".join([entry.stage, ", ".join(entry.targets)]).strip(),
        ]
        for entry in entries
    ]
    heads = ("file", "what", "bytes", "sha256", "for")
    console.print_table(f"{arguments.bundle}: {total:,} bytes", heads, rows)
    return 0


def _info(arguments: argparse.Namespace) -> int:
    from modelport.bundle import Bundle
    from modelport.bundle.listing import describe

    with Bundle.open(arguments.bundle) as opened:
        described = describe(opened)
    if arguments.json:
        console.print_json(described)
        return 0
    print(f"{described['name']} ({described['bytes']:,} bytes, format {described['format']})")
    _print_model(described)
    print(f"signature: {described['signed']}")
    print(f"cases: {described['cases']}; operators for: {', '.join(described['platforms']) or '-'}")
    for name, value in described["machine"].items():
        print(f"built on {name} {value}")
    for name, value in described["versions"].items():
        print(f"built with {name} {value}")
    return 0


def _print_model(described: dict[str, Any], margin: str = "") -> None:
    from modelport.bundle.certificate import Certificate

    signature = described["signature"]
    for kind in ("inputs", "outputs"):
        for spec in signature[kind]:
            print(f"{margin}  {kind[:-1]} {spec['name']}: {spec['dtype']} {spec['shape']}")
    for name, bounds in signature["dimensions"].items():
        most = "" if bounds["max"] is None else bounds["max"]
        print(f"{margin}  {name} in {bounds['min']}..{most}")
    for target in described["targets"]:
        verdict = "agreed with the reference" if target["verified"] else "not compared"
        state = f"{target['graph']}, {verdict}; code {target['code']}"
        print(f"{margin}target {target['target']}: {state}")
    for certificate in map(Certificate.from_json, described["certificates"]):
        for line in certificate.lines():
            print(f"{margin}proven for {line}" if line[0] != " " else f"{margin}{line}")
    for stage in described["stages"]:
        rows = f", {stage['batch']} rows at most" if stage["batch"] else ""
        wires = ", ".join(f"{name} = {source}" for name, source in stage["inputs"].items())
        print(f"{margin}stage {stage['name']}: {stage['model']['name']}, {wires}{rows}")
        _print_model(stage["model"], f"{margin}  ")
    for name, source in described["outputs"].items():
        print(f"{margin}output {name} = {source}")


def _add(arguments: argparse.Namespace) -> int:
    from modelport.bundle.edit import add_operators
    from modelport.deployment import add_targets

    if not arguments.operators and not arguments.target:
        raise UsageError("nothing to add", fix="--target TARGET, or --operators")
    bundle, libraries = arguments.bundle, []
    if arguments.operators:
        libraries = add_operators(
            bundle, arguments.output, trust=arguments.trust, cuda=arguments.cuda
        )
        bundle = arguments.output or bundle
    targets = {}
    if arguments.target:
        targets = add_targets(bundle, arguments.target, arguments.output, trust=arguments.trust)
    if arguments.json:
        done = {str(target): what for target, what in targets.items()}
        console.print_json({"libraries": libraries, "targets": done})
    else:
        for library in libraries:
            print(f"{library}: built")
        for target, what in targets.items():
            print(f"{target}: {what}")
    return 0


def _strip(arguments: argparse.Namespace) -> int:
    from modelport.bundle.edit import strip

    parts = [part for part in _PARTS if getattr(arguments, part)]
    if not (parts or arguments.target or arguments.platform):
        options = ", ".join(f"--{part}" for part in _PARTS)
        raise UsageError("nothing to take out", fix=f"--target, --platform, {options}")
    gone = strip(
        arguments.bundle,
        arguments.output,
        targets=arguments.target,
        platforms=arguments.platform,
        parts=parts,
    )
    if arguments.json:
        console.print_json({"removed": gone})
    else:
        for name in gone:
            print(f"removed {name}")
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    from modelport.bundle.edit import sign

    sign(arguments.bundle, arguments.key)
    if arguments.json:
        console.print_json({"signed": str(arguments.bundle)})
    else:
        print(f"signed {arguments.bundle}")
    return 0


def _keygen(arguments: argparse.Namespace) -> int:
    from modelport.bundle.digital_signature import keys_folder, make_keys

    public = make_keys(arguments.private)
    if arguments.json:
        console.print_json({"private": str(arguments.private), "public": str(public)})
    else:
        print(f"wrote {arguments.private} (keep it to yourself) and {public}")
        print(f"whoever puts {public.name} into {keys_folder()} knows what you sign")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from modelport.bundle import Bundle

    with Bundle.open(arguments.bundle, key=arguments.key) as opened:
        files, signed = len(opened.manifest.files), opened.signed
    if arguments.json:
        console.print_json({"ok": True, "files": files, "signed": signed})
    else:
        print(f"{files} files match the checksums of the manifest; {signed}")
    return 0


def _trust(arguments: argparse.Namespace) -> int:
    from modelport.bundle.edit import trust_code

    code = trust_code(arguments.bundle, arguments.key)
    if arguments.json:
        console.print_json({"trusted": code})
    else:
        print(f"{len(code)} files with code are known on this machine from now on")
    return 0


def _selftest(arguments: argparse.Namespace) -> int:
    from modelport.bundle import self_test

    result = self_test(arguments.bundle, trust=arguments.trust, key=arguments.key)
    if arguments.json:
        console.print_json(result.to_json())
    else:
        for engine in result.engines:
            stage = f"{engine.stage}: " if engine.stage else ""
            print(f"{stage}{engine.target}: {_verdict(engine)}")
        for difference in result.differences:
            print(f"other than where it was built: {difference}")
        if not any(engine.verification for engine in result.engines):
            print("no engine ran on this machine")
    return 0 if result.ok else 1


def _verdict(engine: EngineTest) -> str:
    if engine.skipped:
        return f"not run here: {engine.skipped}"
    if engine.verification is None:
        return f"DOES NOT OPEN: {engine.failure}"
    failed = [str(case) for case in engine.verification.cases if not case.ok]
    if failed:
        return f"DIFFERS on {len(failed)} of {len(engine.verification.cases)} cases: {failed[0]}"
    median, minimum = engine.milliseconds or (0.0, 0.0)
    count = len(engine.verification.cases)
    return f"agrees on {count} cases; {median:.2f} ms (minimum {minimum:.2f})"


def _dockerfile(arguments: argparse.Namespace) -> int:
    from modelport.bundle.dockerfile import write_container

    folder = write_container(
        arguments.bundle, arguments.output, wheel=arguments.wheel, key=arguments.key
    )
    if arguments.json:
        console.print_json({"folder": str(folder)})
    else:
        print(f"wrote {folder}: docker build -t NAME {folder}")
    return 0
