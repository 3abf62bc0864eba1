SUFFIXES: tuple[str, ...] = (".dcs", ".dcm", ".dicos")


def sniff(head):
    return head[128:132] == b"DICM"
