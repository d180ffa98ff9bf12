"""Turns a fetched commit into a work tree: counts it, checks it out, then does the same for its submodules."""

from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import AttemptTimeout, InfrastructureError, UserError
from worker.source.address_rules import AddressRules
from worker.source.git import Git
from worker.source.git_errors import NO_SUCH_REF
from worker.source.git_folder import make_repository
from worker.source.lfs import fetch_lfs_files
from worker.source.limits import Allowance
from worker.source.submodules import MAX_NESTING, Submodule, find_submodules, too_nested
from worker.source.tree import list_tree


@dataclass(frozen=True)
class Unpacking:
    """What the repositories of one checkout share."""

    git: Git
    rules: AddressRules
    allowance: Allowance

    def unpack(self, folder: Path, commit_sha: str, *, uri: str, above: int = 0, nesting: int = 0) -> None:
        """Check out the work tree in a folder into which git fetched the commit; ``uri`` is where it came from."""
        tree = list_tree(
            commit_sha, git=self.git, git_folder=str(folder / ".git"), allowance=self.allowance, above=above
        )
        self.git.must("-C", folder, "checkout", "--quiet", "--detach", commit_sha)
        fetch_lfs_files(folder, tree.small_files, uri=uri, git=self.git, rules=self.rules, allowance=self.allowance)
        for submodule in find_submodules(folder, tree.submodules, uri=uri, git=self.git, rules=self.rules):
            if nesting == MAX_NESTING:
                raise too_nested(self.git.uri)
            inside = self._with_login_of(submodule)
            inside._bring(submodule)
            depth = above + submodule.path.count("/") + 1
            place = submodule.folder
            inside.unpack(place, submodule.commit_sha, uri=submodule.uri, above=depth, nesting=nesting + 1)

    def _with_login_of(self, submodule: Submodule) -> "Unpacking":
        """Return the same for what is inside a submodule, whose address may have a login."""
        return replace(self, git=replace(self.git, logins=self.git.logins.plus(submodule.credentials)))

    def _bring(self, submodule: Submodule) -> None:
        """Fetch a submodule's commit; an error names the submodule, and its own address."""
        try:
            self._fetch(submodule, replace(self.git, uri=submodule.uri))
        except (UserError, InfrastructureError, AttemptTimeout) as error:
            raise submodule.not_fetched(error, self.git.uri) from error

    def _fetch(self, submodule: Submodule, git: Git) -> None:
        """Fetch its commit; all branches and tags if the host does not serve commits by SHA."""
        folder, sha = submodule.folder, submodule.commit_sha
        make_repository(folder, origin=submodule.uri)
        fetch = ("-C", folder, "fetch", "--quiet", "--no-tags")
        result = git.run(*fetch, "--depth=1", "origin", sha)
        if result.ok:
            return
        if not result.says(*NO_SUCH_REF):
            raise git.failure(result)
        git.must(*fetch, "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        if not git.run("-C", folder, "cat-file", "-e", f"{sha}^{{commit}}").ok:
            git.require_a_git_host("origin", cwd=folder)
            raise submodule.not_pushed()
