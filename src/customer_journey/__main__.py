"""``python -m customer_journey``: the same as the console command."""

from customer_journey.cli import main

if __name__ == "__main__":
    main()
