"""`python -m memaudit` is `memaudit`."""

from memaudit.cli import main

if __name__ == "__main__":
    main(prog_name="memaudit")
