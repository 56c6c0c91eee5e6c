"""Faulty images and faulty files, which the properties and the policy's rules must catch."""
