"""MONAI Label with this project's bundles: a server for annotators, which trains on their labels and images and tells
which image to label next. Everything but ``server``, and what it imports at first, needs MONAI Label.
"""
