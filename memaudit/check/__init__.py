"""Prompts looked up in an audit: which finding does this prompt match?"""
