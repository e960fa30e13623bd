"""Prompts looked up in an audit: does this prompt match a finding?

guard.Guard     for serving code: compiled, loaded once
plain.match     one prompt, without loading what is compiled
prompts         files of prompts, streamed
"""
