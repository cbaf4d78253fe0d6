import sys

from tests.show.harness import main

sys.exit(main())
