"""What was the policy, and who changed it?"""
