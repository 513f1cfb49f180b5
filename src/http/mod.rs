//! Floor 8: HTTP/1.1 connections.
