package main

func millionGroups() []group { return nil }
