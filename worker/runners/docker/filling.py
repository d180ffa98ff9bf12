"""Puts an attempt's files into its container before it starts, owned by the user that it runs as."""

import tempfile

from docker import APIClient

from worker.interruption import Interruption
from worker.runners.docker.confinement import HOME, Confinement
from worker.runners.docker.files import owner_in
from worker.runners.docker.project_archive import owned_folder, write_archive
from worker.runners.docker.start import Made, Start
from worker.runners.seam import AttemptSpec


def fill(
    api: APIClient,
    container: Made,
    spec: AttemptSpec,
    start: Start,
    confinement: Confinement,
    *,
    interruption: Interruption,
) -> None:
    """Put everything in place; repeated, it puts the same there."""
    interruption.check()
    owner = owner_in(api, container.id, container.user)
    home = HOME if confinement.has_own_home(start.image_user) else ""
    for folder in confinement.filled:
        with tempfile.TemporaryFile() as archive:
            write_archive(archive, spec, owner, interruption, start=start.script, under=folder, home=home)
            archive.seek(0)
            api.put_archive(container.id, folder, archive)
    for volume in spec.volumes:
        if volume.own_folder:
            api.put_archive(container.id, volume.target, owned_folder(volume.own_folder, owner))
