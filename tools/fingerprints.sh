#!/bin/sh
# scikit-fingerprints wants an older RDKit than this release is tested with: an environment of its own,
# which holds only what differs and reads everything else from the one beside it.
# Usage: tools/fingerprints.sh ENVIRONMENT NEW [pip options]
set -eu
environment=$1 new=$2
shift 2
site() { "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }
"$environment/bin/python" -m venv --clear "$new"
echo "import site; site.addsitedir('$(site "$environment")')" > "$(site "$new")/beside.pth"
"$new/bin/python" -m pip --disable-pip-version-check install -qq "$@" "mltransfer[fingerprints]"
