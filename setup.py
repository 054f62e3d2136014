import shutil

from setuptools import setup
from setuptools.command.build import build


class FreshBuild(build):
    """Builds into an empty folder: a module that is gone must not be in the next wheel."""

    def run(self):
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


setup(cmdclass={"build": FreshBuild})
