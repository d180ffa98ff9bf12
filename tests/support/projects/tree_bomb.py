"""A repository of a few hundred bytes that unpacks to any size: trees of equal trees."""

from tests.support.servers.git_repository import RepositoryOnServer

PROJECT = 'name: bomb\nentry_points:\n  main:\n    command: "true"\n'


def commit_tree_bomb(
    repository: RepositoryOnServer,
    *,
    levels: int,
    width: int = 10,
    content: bytes | None = b"boom\n",
    project: str = PROJECT,
) -> str:
    """Commit an MLproject file and ``width`` ** ``levels`` files of the content on main, and return the SHA.

    Without content the innermost folders are empty, so that no file is there to be counted.
    """
    inner = ""
    if content is not None:
        blob = repository.git("hash-object", "-w", "--stdin", stdin=content)
        inner = "".join(f"100644 blob {blob}\tf{number}\n" for number in range(width))
    tree = repository.git("mktree", stdin=inner.encode())
    for _ in range(levels - 1):
        entries = "".join(f"040000 tree {tree}\td{number}\n" for number in range(width))
        tree = repository.git("mktree", stdin=entries.encode())
    mlproject = repository.git("hash-object", "-w", "--stdin", stdin=project.encode())
    top = f"100644 blob {mlproject}\tMLproject\n040000 tree {tree}\tbomb\n"
    commit = repository.git("commit-tree", "-m", "Bomb", repository.git("mktree", stdin=top.encode()))
    repository.git("update-ref", "refs/heads/main", commit)
    repository.git("update-server-info")
    return commit
