package main

// The container image has no time zones, and policies name them.
import _ "time/tzdata"
