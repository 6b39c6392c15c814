import sys

from mgdemo.cli import main

sys.exit(main())
