"""Restores a restore point from blobs and the account key. Written from docs/vault-format.md alone.

Usage: document-reader.py BLOBS ACCOUNT ACCOUNT_KEY_HEX MANIFEST ROOT_HASH

BLOBS is the folder `blobs` of a self-hosted data folder. Prints a JSON object per entry. The SHA-256 of a file is that
of the restored content. Fails if a hash, extent, name block or pack footer does not match.
"""

import hashlib
import hmac
import json
import struct
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KINDS = ("file", "folder", "link")
MODE, TARGET, MIME_TYPE, HAS_SHA256, HAS_CHUNKS, PREVIOUS = 8, 16, 32, 64, 128, 256
DELETED, NO_TIME, TEXT_TIME, IMPLIED, ID = 4, 512, 1024, 2048, 4096
EXTENT_AT = 4
"""A reference has 4 fields. The extent follows."""


def hkdf(key: bytes, salt: bytes, info: str) -> bytes:
    return HKDF(SHA256(), 32, salt, info.encode()).derive(key)


def decompress(codec: int, content: bytes) -> bytes:
    if codec == 0:
        return content
    check(codec == 1, f"codec {codec}")
    # Unlike decompress(), this needs no length of the content in the frame.
    return zstandard.ZstdDecompressor().decompressobj().decompress(content)


def check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(f"does not agree with the format: {message}")


class Cursor:
    """Reads the basic types of the format one after another."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, length: int) -> bytes:
        check(self.at + length <= len(self.data), "the data ends too early")
        self.at += length
        return self.data[self.at - length : self.at]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def zigzag(self) -> int:
        value = self.varint()
        return -(value + 1) // 2 if value & 1 else value // 2

    def bytes(self) -> bytes:
        return self.take(self.varint())

    def text(self) -> str:
        return self.bytes().decode()

    def end(self) -> None:
        check(self.at == len(self.data), "bytes are left")


@dataclass(frozen=True)
class Chunk:
    pack: str
    slot: int
    slot_offset: int
    slot_length: int
    offset: int
    length: int


BEFORE_FIRST = Chunk("", 0, 0, 0, 0, 0)


@dataclass
class Entry:
    key: bytes
    flags: int
    size: int
    time: int | str | None
    """Milliseconds since 1970, or text."""
    revision: str
    version: int
    mime_type: str | None
    run_id: str
    at: str
    previous: str | None
    mode: int | None
    target: str | None
    id: str | None
    sha256: bytes | None
    chunks: list[Chunk]

    @property
    def kind(self) -> str:
        return KINDS[self.flags & 3]

    def has(self, flag: int) -> bool:
        return bool(self.flags & flag)

    def as_json(self) -> dict:
        """All fields that the entry has, without content."""
        fields = {
            **{"key": as_json(self.key), "kind": self.kind, "size": self.size, "modifiedAt": self.time},
            **{"revision": self.revision, "mode": self.mode, "mimeType": self.mime_type, "version": self.version},
            **{"target": self.target, "id": self.id, "runId": self.run_id, "at": self.at},
            **{"previous": self.previous, "deleted": self.has(DELETED) or None, "implied": self.has(IMPLIED) or None},
        }
        return {name: value for name, value in fields.items() if value is not None or name == "modifiedAt"}


def order(key: bytes) -> tuple[bytes, bytes]:
    """The order of entries: by folder, then by key."""
    return key[: key.removesuffix(b"/").rfind(b"/") + 1], key


def as_json(key: bytes) -> str:
    """A byte that is not UTF-8 is a lone surrogate in JSON, in the same way as in Python."""
    return key.decode("utf-8", "surrogateescape")


def decode_entries(encoded: bytes) -> list[Entry]:
    """Decodes the columns of a segment."""
    head = Cursor(encoded)
    check(head.varint() == 1, "format of entries")
    count = head.varint()
    names = [head.text() for _ in range(head.varint())]
    keys, flags, sizes, times, revisions, rare, hashes, chunks, versions, numbers = (
        columns := [Cursor(head.bytes()) for _ in range(10)]
    )
    head.end()
    entries: list[Entry] = []
    key, time, last = b"", 0, BEFORE_FIRST
    for _ in range(count):
        key = key[: keys.varint()] + keys.bytes()
        flag = flags.varint()
        if not flag & (NO_TIME | TEXT_TIME):
            time += times.zigzag()
        entry = Entry(
            key,
            flag,
            size=sizes.varint(),
            time=None if flag & NO_TIME else times.text() if flag & TEXT_TIME else time,
            revision=revisions.text(),
            version=versions.varint(),
            mime_type=names[numbers.varint()] if flag & MIME_TYPE else None,
            run_id=names[numbers.varint()],
            at=names[numbers.varint()],
            previous=names[numbers.varint()] if flag & PREVIOUS else None,
            mode=rare.varint() if flag & MODE else None,
            target=as_json(rare.bytes()) if flag & TARGET else None,
            id=rare.text() if flag & ID else None,
            sha256=hashes.take(32) if flag & HAS_SHA256 else None,
            chunks=[],
        )
        left = entry.size
        for _ in range(chunks.varint() if flag & HAS_CHUNKS else 0):
            last = decode_chunk(chunks, last, names, left)
            left -= last.length
            entry.chunks.append(last)
        entries.append(entry)
    for column in columns:
        column.end()
    return entries


def decode_chunk(column: Cursor, last: Chunk, names: list[str], left: int) -> Chunk:
    number = column.varint()
    if number == 0:
        position = (last.pack, last.slot, last.slot_offset, last.slot_length)
        offset = last.offset + last.length + column.zigzag()
    else:
        position = (
            names[number - 1],
            last.slot + 1 + column.zigzag(),
            last.slot_offset + last.slot_length + column.zigzag(),
            column.varint(),
        )
        offset = column.zigzag()
    return Chunk(*position, offset, left + column.zigzag())


class Vault:
    """The blobs of one account."""

    def __init__(self, blobs: Path, account: str, account_key: bytes):
        self.blobs, self.account, self.account_key = blobs, account, account_key
        self.slot = lru_cache(maxsize=4)(self.read_slot)
        self.forward = lru_cache(maxsize=None)(self.read_forward)

    def key(self, label: str) -> bytes:
        return hkdf(self.account_key, b"", f"listbackup/vault/1/{label}")

    def path(self, name: str) -> Path:
        """The file of a blob."""
        return self.blobs / f"{name}.f"

    def read(self, name: str, offset: int = 0, length: int = -1) -> bytes:
        with open(self.path(name), "rb") as blob:
            blob.seek(offset)
            return blob.read(length)

    def decrypt(self, encrypted: bytes, aad: str) -> bytes:
        """Decrypts and decompresses encrypted bytes, and checks their salt."""
        header, salt, ciphertext = encrypted[:4], encrypted[4:20], encrypted[20:]
        form, codec, epoch = struct.unpack(">BBH", header)
        check(form == 1, "format of encrypted bytes")
        epoch_key = self.key(f"epoch/{epoch}")
        key = hkdf(epoch_key, salt, "listbackup/encrypted/1/key")
        associated = header + aad.encode()
        content = AESGCM(key).decrypt(bytes(12), ciphertext, associated)
        salt_key = hkdf(epoch_key, b"", "listbackup/encrypted/1/salt")
        message = struct.pack(">I", len(associated)) + associated + content
        check(hmac.digest(salt_key, message, "sha256")[:16] == salt, "salt")
        return decompress(codec, content)

    def metadata(self, kind: str, packs: list[str], reference: list) -> bytes:
        """Reads an object of a metadata pack."""
        number, offset, length, digest = reference
        encrypted = self.read(f"manifests/{self.account}/{packs[number]}", offset, length)
        check(hashlib.sha256(encrypted).hexdigest() == digest, f"hash of {kind}")
        return self.decrypt(encrypted, f"{kind}/{self.account}/{packs[number]}/{offset}")

    def root(self, manifest: str, digest: str) -> dict:
        name = f"manifests/{self.account}/{manifest}"
        size = self.path(name).stat().st_size
        magic, form, length = struct.unpack(">4sB3xI4x", self.read(name, size - 16))
        check(magic == b"LBMF" and form == 2, "trailer of the manifest")
        return json.loads(self.metadata("root", [manifest], [0, size - 16 - length, length, digest]))

    def entries(self, manifest: str, digest: str):
        """All entries of a manifest in order."""
        root = self.root(manifest, digest)
        check(root["format"] == 2, "format of the root")
        last = None
        for listed in root["nodes"]:
            node = json.loads(self.metadata("node", root["packs"], listed[:EXTENT_AT]))
            check(node["format"] == 2, "format of a node")
            of_node: list[Entry] = []
            for segment in node["segments"]:
                entries = decode_entries(self.metadata("segment", node["packs"], segment[:EXTENT_AT]))
                check(extent(entries) == segment[EXTENT_AT:], "extent of a segment")
                of_node += entries
            check(extent(of_node) == listed[EXTENT_AT:], "extent of a node")
            names = decode_names(self.metadata("names", node["packs"], node["names"]))
            check(names == [(entry.key, entry.has(DELETED)) for entry in of_node], "name block")
            for entry in of_node:
                check(last is None or order(last) < order(entry.key), "order of entries")
                last = entry.key
                yield entry

    def pack_key(self, pack: str, epoch: int) -> AESGCM:
        return AESGCM(hkdf(self.key(f"epoch/{epoch}"), pack.encode(), "listbackup/pack/1"))

    def read_slot(self, pack: str, slot: int, offset: int, length: int) -> bytes:
        """The content of a slot of a data pack. Throws FileNotFoundError if the pack is missing."""
        stored = self.read(f"packs/{self.account}/{pack[4:6]}/{pack}", offset, length)
        header = stored[:4]
        form, codec, epoch = struct.unpack(">BBH", header)
        check(form == 1, "format of a slot")
        aad = f"{self.account}/{pack}/{slot}\n".encode() + header
        nonce = bytes(8) + struct.pack(">I", slot)
        return decompress(codec, self.pack_key(pack, epoch).decrypt(nonce, stored[4:], aad))

    def read_forward(self, pack: str) -> dict:
        """Maps slot and offset in the missing pack to the new position."""
        forward = json.loads(self.decrypt(self.read(f"moved/{self.account}/{pack}"), f"moved/{self.account}/{pack}"))
        check(forward["format"] == 1, "format of a forward")
        return {(old[0], old[1]): (forward["packs"][old[2]], *old[3:]) for old in forward["chunks"]}

    def chunk(self, chunk: Chunk) -> bytes:
        """The bytes of a chunk. Follows forwards as long as the pack is missing."""
        try:
            slot = self.slot(chunk.pack, chunk.slot, chunk.slot_offset, chunk.slot_length)
        except FileNotFoundError:
            moved = self.forward(chunk.pack)[chunk.slot, chunk.offset]
            return self.chunk(Chunk(*moved, chunk.length))
        content = slot[chunk.offset : chunk.offset + chunk.length]
        check(len(content) == chunk.length, "length of a chunk")
        return content

    def check_pack(self, path: Path) -> None:
        """Rebuilds the index of a data pack from its footer and checks each chunk id."""
        pack, blob = path.stem, path.read_bytes()
        trailer = blob[-16:]
        magic, form, epoch, footer_length, slots = struct.unpack(">4sBxHII", trailer)
        check(magic == b"LBPK" and form == 1, "trailer of a data pack")
        aad = f"{self.account}/{pack}/4294967295\n".encode() + trailer
        footer = blob[-16 - footer_length : -16]
        index = Cursor(self.pack_key(pack, epoch).decrypt(bytes(8) + b"\xff" * 4, footer, aad))
        check(index.varint() == slots, "slots of a data pack")
        slot_offset = 0
        for slot in range(slots):
            stored = index.varint()
            content = Cursor(self.read_slot(pack, slot, slot_offset, stored))
            slot_offset += stored
            for _ in range(index.varint()):
                name, chunk = index.bytes(), content.take(index.varint())
                digest = hmac.digest(self.key("chunk-id"), hashlib.sha256(chunk).digest(), "sha256")
                check(digest[:20] == name, "chunk id")
            content.end()
        index.end()
        check(slot_offset + footer_length + 16 == len(blob), "size of a data pack")


def extent(entries: list[Entry]) -> list:
    live = [entry for entry in entries if not entry.has(DELETED)]
    listed = [entry for entry in live if not entry.has(IMPLIED)]
    kinds = [sum(entry.kind == kind for entry in listed) for kind in KINDS]
    size = sum(entry.size for entry in listed)
    return [as_json(entries[0].key), as_json(entries[-1].key), len(entries), len(live), *kinds, size]


def decode_names(block: bytes) -> list[tuple[bytes, bool]]:
    """The key of each entry of a node, and whether it is deleted."""
    cursor = Cursor(block)
    check(cursor.varint() == 1, "format of names")
    groups = cursor.varint()
    parents, flags, text = Cursor(cursor.bytes()), cursor.bytes(), cursor.bytes()
    cursor.end()
    names = text.split(b"/")
    check(names.pop() == b"" and len(names) == len(flags), "names of a name block")
    folders = [folder for _ in range(groups) for folder in [parents.bytes()] * parents.varint()]
    parents.end()
    check(len(folders) == len(flags), "groups of a name block")
    return [
        (folder + name + (b"/" if flag & 1 else b""), bool(flag & 2))
        for folder, name, flag in zip(folders, names, flags)
    ]


def main(blobs: str, account: str, account_key: str, manifest: str, digest: str) -> None:
    vault = Vault(Path(blobs), account, bytes.fromhex(account_key))
    for pack in (Path(blobs) / "packs" / account).glob("*/*.f"):
        vault.check_pack(pack)
    for entry in vault.entries(manifest, digest):
        line = entry.as_json()
        if entry.kind == "file" and not entry.has(DELETED):
            line["sha256"] = restore(vault, entry)
        print(json.dumps(line))


def restore(vault: Vault, entry: Entry) -> str:
    """Reads the content. Returns its SHA-256 as hex."""
    whole, size = hashlib.sha256(), 0
    for chunk in entry.chunks:
        content = vault.chunk(chunk)
        whole.update(content)
        size += len(content)
    check(size == entry.size and whole.digest() == entry.sha256, f"content of {entry.key!r}")
    return whole.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
