# SPDX-License-Identifier: Apache-2.0
"""What a process holds in its memory."""

REGION_MAX = 64 << 20  # bytes; larger ones are a sanitizer's shadows


def has_in_memory(pid, text):
    """Whether what the process may write to holds the bytes `text`."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            begin, end = (int(number, 16) for number in place.split("-"))
            if rights.startswith("rw") and end - begin <= REGION_MAX and "[v" not in line and "/dev/" not in line:
                memory.seek(begin)
                if text in memory.read(end - begin):
                    return True
    return False
