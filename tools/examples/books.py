#!/usr/bin/env python3
"""The best bid and ask of every product of a running node: books.py NAME"""
import sys
from os.path import dirname

sys.path.append(f"{dirname(__file__)}/../python")
from wirebook_shm import Shm

with Shm(sys.argv[1]) as shm:
    for product in shm.products():
        view = shm.view(product)
        print(product, view["state"], view["best_bid"], view["best_ask"])
